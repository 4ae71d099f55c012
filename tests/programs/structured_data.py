"""A table with numeric and categorical features as a dict of inputs."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(10)
n = 120
data = {
    "age": np.random.uniform(20, 80, (n, 1)).astype("float32"),
    "job": np.random.randint(0, 5, (n, 1)),
    "balance": np.random.normal(size=(n, 1)).astype("float32"),
}
y = ((data["age"][:, 0] > 50) & (data["job"][:, 0] != 2)).astype("float32")
inputs = {
    "age": keras.Input((1,), name="age"), "job": keras.Input((1,), dtype="int64", name="job"),
    "balance": keras.Input((1,), name="balance"),
}  # fmt: skip
job = layers.Flatten()(layers.Embedding(5, 3)(inputs["job"]))
features = ops.concatenate([(inputs["age"] - 50.0) / 17.0, inputs["balance"] * 0.5, job], axis=1)
h = layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3))(features)
h = layers.BatchNormalization()(h)
outputs = layers.Dense(1, activation="sigmoid")(h)
model = keras.Model(inputs, outputs)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.Precision(), keras.metrics.Recall()])
history = model.fit(data, y, epochs=3, batch_size=50, class_weight={0: 1.0, 1: 3.0}, verbose=0)
results = {**history.history, "out": model.predict({k: v[:3] for k, v in data.items()}, verbose=0)}
