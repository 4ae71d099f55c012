"""Guide style: fit customized by train_step(state, data) with metrics updated one by one."""

import jax
import keras
import numpy as np


class CustomModel(keras.Model):
    def compute_loss_and_updates(self, trainable_variables, non_trainable_variables, x, y, training=False):
        y_pred, non_trainable_variables = self.stateless_call(
            trainable_variables, non_trainable_variables, x, training=training
        )
        return self.compute_loss(x, y, y_pred), (y_pred, non_trainable_variables)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        x, y = data
        grad_fn = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, (y_pred, non_trainable)), grads = grad_fn(trainable, non_trainable, x, y, training=True)
        trainable, optimizer_variables = self.optimizer.stateless_apply(optimizer_variables, grads, trainable)
        new, logs = [], {}
        for metric in self.metrics:
            these = metrics_variables[len(new) : len(new) + len(metric.variables)]
            if metric.name == "loss":
                these = metric.stateless_update_state(these, loss)
            else:
                these = metric.stateless_update_state(these, y, y_pred)
            result = metric.stateless_result(these)
            logs |= result if isinstance(result, dict) else {metric.name: result}
            new += these
        return logs, (trainable, non_trainable, optimizer_variables, new)

    def test_step(self, state, data):
        x, y = data
        trainable, non_trainable, metrics_variables = state
        y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=False)
        loss = self.compute_loss(x, y, y_pred)
        new, logs = [], {}
        for metric in self.metrics:
            these = metrics_variables[len(new) : len(new) + len(metric.variables)]
            if metric.name == "loss":
                these = metric.stateless_update_state(these, loss)
            else:
                these = metric.stateless_update_state(these, y, y_pred)
            result = metric.stateless_result(these)
            logs |= result if isinstance(result, dict) else {metric.name: result}
            new += these
        return logs, (trainable, non_trainable, new)


keras.utils.set_random_seed(12)
inputs = keras.Input(shape=(8,))
model = CustomModel(inputs, keras.layers.Dense(1)(inputs))
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
x, y = np.random.random((100, 8)), np.random.random((100, 1))
history = model.fit(x, y, epochs=2, validation_data=(x[:40], y[:40]), verbose=0)
results = {**history.history, "evaluate": model.evaluate(x, y, verbose=0)}
