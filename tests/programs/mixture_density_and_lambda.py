"""A probabilistic head with a negative log-likelihood as a plain function, BN in a subclass, float64 inputs."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(34)


def nll(y_true, y_pred):
    mean, log_std = y_pred[:, :1], ops.clip(y_pred[:, 1:], -3.0, 3.0)
    return ops.mean(0.5 * ops.square((y_true - mean) / ops.exp(log_std)) + log_std, axis=-1)


class Net(keras.Model):
    def __init__(self, widths=(8, 6), **kwargs):
        super().__init__(**kwargs)
        self.hidden = [(layers.Dense(w, use_bias=False), layers.BatchNormalization(momentum=0.8)) for w in widths]
        self.head = layers.Dense(2)

    def call(self, x, training=None):
        for dense, norm in self.hidden:
            x = ops.leaky_relu(norm(dense(x), training=training))
        return self.head(x)


x = np.random.uniform(-1, 1, size=(75, 2))
y = x[:, :1] ** 2 + 0.1 * np.random.normal(size=(75, 1))
model = Net()
model.compile(keras.optimizers.Adam(0.01), loss=nll, metrics=[nll])
history = model.fit(x, y, epochs=3, batch_size=32, validation_split=0.2, verbose=0)
results = {
    **history.history, "state": model.hidden[0][1].moving_variance, "evaluate": model.evaluate(x, y, verbose=0),
    "paths": " ".join(v.path for v in model.variables),
}  # fmt: skip
