"""Sample weights, masks as weights over time, class weights with one-hot targets, and weighted metrics."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(24)
x = np.random.normal(size=(44, 6, 3)).astype("float32")
x[::3, 4:] = 0.0
y = np.random.randint(0, 4, (44, 6))
w = np.random.uniform(size=(44, 6)).astype("float32")
model = keras.Sequential(
    [layers.Masking(0.0), layers.LSTM(5, return_sequences=True), layers.TimeDistributed(layers.Dense(4))]
)
model.compile(
    keras.optimizers.Nadam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"], weighted_metrics=["accuracy"],
)  # fmt: skip
first = model.fit(x, y, sample_weight=w, epochs=2, batch_size=16, verbose=0).history
flat = keras.Sequential([layers.Flatten(), layers.Dense(3, "softmax")])
flat.compile("adamax", "categorical_crossentropy", weighted_metrics=["categorical_accuracy"])
labels = np.eye(3)[np.random.randint(0, 3, 44)]
second = flat.fit(x, labels, class_weight={0: 0.5, 1: 2.0, 2: 1.0}, epochs=2, verbose=0).history
results = {f"a_{k}": v for k, v in first.items()} | {f"b_{k}": v for k, v in second.items()}
results["evaluate"] = model.evaluate(x, y, sample_weight=w, verbose=0)
