"""Metric learning: one encoder shared by three inputs, a distance layer, and a loss in compute_loss."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(16)


class DistanceLayer(layers.Layer):
    def call(self, anchor, positive, negative):
        return (
            ops.sum(ops.square(anchor - positive), -1), ops.sum(ops.square(anchor - negative), -1),
        )  # fmt: skip


encoder = keras.Sequential(
    [layers.Dense(12, activation="relu"), layers.BatchNormalization(), layers.Dense(4), layers.UnitNormalization()]
)
a, p, n = (keras.Input((6,), name=name) for name in ("anchor", "positive", "negative"))
distances = DistanceLayer()(encoder(a), encoder(p), encoder(n))
network = keras.Model([a, p, n], distances)


class SiameseModel(keras.Model):
    def __init__(self, network, margin=0.5):
        super().__init__()
        self.network, self.margin = network, margin

    def call(self, inputs):
        return self.network(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        ap, an = y_pred
        return ops.mean(ops.maximum(ap - an + self.margin, 0.0))


model = SiameseModel(network)
model.compile(optimizer=keras.optimizers.Adam(1e-2))
x = [np.random.normal(size=(70, 6)).astype("float32") for _ in range(3)]
history = model.fit(x, epochs=3, batch_size=25, verbose=0)
results = {**history.history, "distances": model.predict(x, verbose=0)[0][:4], "loss_now": model.evaluate(x, verbose=0)}
