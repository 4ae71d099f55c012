"""Guide style: a training loop of one's own in JAX with stateless metrics and optimizer."""

import jax
import keras
import numpy as np

keras.utils.set_random_seed(11)
inputs = keras.Input(shape=(12,), name="digits")
h = keras.layers.Dense(16, activation="relu")(inputs)
h = keras.layers.Dropout(0.2)(h)
model = keras.Model(inputs, keras.layers.Dense(3, name="predictions")(h))
optimizer = keras.optimizers.Adam(learning_rate=1e-2)
loss_fn = keras.losses.CategoricalCrossentropy(from_logits=True)
metric = keras.metrics.CategoricalAccuracy()
x = np.random.normal(size=(96, 12)).astype("float32")
y = keras.utils.to_categorical(np.random.randint(0, 3, 96), 3)


def compute_loss(trainable, non_trainable, metric_values, x, y):
    predicted, non_trainable = model.stateless_call(trainable, non_trainable, x, training=True)
    loss = loss_fn(y, predicted)
    metric_values = metric.stateless_update_state(metric_values, y, predicted)
    return loss, (non_trainable, metric_values)


grad_fn = jax.value_and_grad(compute_loss, has_aux=True)


@jax.jit
def train_step(state, data):
    trainable, non_trainable, optimizer_values, metric_values = state
    (loss, (non_trainable, metric_values)), grads = grad_fn(trainable, non_trainable, metric_values, *data)
    trainable, optimizer_values = optimizer.stateless_apply(optimizer_values, grads, trainable)
    return loss, (trainable, non_trainable, optimizer_values, metric_values)


optimizer.build(model.trainable_variables)
groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables, metric.variables)
state = tuple([v.value for v in group] for group in groups)
losses, accuracies = [], []
for _epoch in range(2):
    for i in range(0, 96, 32):
        loss, state = train_step(state, (x[i : i + 32], y[i : i + 32]))
        losses.append(float(loss))
    accuracies.append(float(metric.stateless_result(state[3])))
    state = (*state[:3], metric.stateless_reset_state())
for variable, value in zip(model.trainable_variables, state[0]):
    variable.assign(value)
results = {"loss": losses, "accuracy": accuracies, "prediction": model.predict(x[:3], verbose=0)}
