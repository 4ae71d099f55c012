"""User layers: lazy weights, state, losses, nested layers, get_config, masks, and a user loss and metric."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(22)


class Linear(layers.Layer):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True)

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class ComputeSum(layers.Layer):
    def __init__(self, dim):
        super().__init__()
        self.total = self.add_weight(initializer="zeros", shape=(dim,), trainable=False)

    def call(self, inputs):
        self.total.assign_add(ops.sum(inputs, axis=0))
        return inputs


class Regularized(layers.Layer):
    def __init__(self, rate=1e-2):
        super().__init__()
        self.rate, self.dense = rate, layers.Dense(3, kernel_regularizer=keras.regularizers.l2(1e-3))

    def call(self, inputs):
        self.add_loss(self.rate * ops.mean(inputs))
        return self.dense(inputs)


class Block(layers.Layer):
    def __init__(self):
        super().__init__()
        self.parts = [Linear(6), ComputeSum(6), Regularized()]
        self.named = {"last": Linear(2)}

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return self.named["last"](ops.relu(x))


class Loss(keras.losses.Loss):
    def __init__(self, factor=0.1, name="custom"):
        super().__init__(name=name)
        self.factor = factor

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), -1) + self.factor * ops.mean(ops.abs(0.5 - y_pred), -1)


class TruePositives(keras.metrics.Metric):
    def __init__(self, name="tp", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hit = ops.cast((y_pred > 0) & (ops.cast(y_true, "float32") > 0), "float32")
        self.count.assign_add(ops.sum(hit))

    def result(self):
        return self.count * 1.0

    def reset_state(self):
        self.count.assign(0.0)


block = Block()
eager = block(np.ones((2, 5), "float32"))
n_losses = len(block.losses)
model = keras.Sequential([keras.Input((5,)), block])
model.compile(keras.optimizers.Adagrad(0.05), Loss(), metrics=[TruePositives(), "mse"])
x = np.random.normal(size=(40, 5)).astype("float32")
y = np.random.normal(size=(40, 2)).astype("float32")
history = model.fit(x, y, epochs=2, batch_size=16, verbose=0)
results = {
    **history.history, "eager": eager, "n_losses": n_losses, "weights": len(model.weights),
    "total": block.parts[1].total, "config": Linear.from_config(Linear(9).get_config()).units,
    "paths": " ".join(v.path for v in model.trainable_variables),
}  # fmt: skip
