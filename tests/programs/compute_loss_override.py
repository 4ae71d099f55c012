"""compute_loss and compute_metrics overridden, with a tracker of one's own."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(13)


class Model(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="extra")

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        loss = ops.mean(ops.square(y_pred - y)) + sum(self.losses)
        self.tracker.update_state(loss * 2)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight):
        found = super().compute_metrics(x, y, y_pred, sample_weight)
        found["always"] = 1.0
        return found

    def reset_metrics(self):
        self.tracker.reset_state()


inputs = keras.Input((4,))
model = Model(inputs, layers.Dense(2, activity_regularizer="l2")(inputs))
model.compile("sgd", metrics=["mae"])
x = np.random.normal(size=(50, 4)).astype("float32")
y = np.random.normal(size=(50, 2)).astype("float32")
history = model.fit(x, y, epochs=3, batch_size=16, verbose=0)
results = history.history
