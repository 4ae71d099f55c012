"""A character CNN with parallel widths, ops on symbolic tensors, and optional mask input."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(32)
inputs = keras.Input((15,), dtype="int32")
h = layers.SpatialDropout1D(0.2)(layers.Embedding(20, 6)(inputs))
branches = [layers.GlobalMaxPooling1D()(layers.Conv1D(4, k, activation="relu", padding="same")(h)) for k in (2, 3, 4)]
h = ops.concatenate(branches, axis=-1)
h = ops.reshape(h, (-1, 3, 4))
h = ops.mean(h, axis=1) + ops.cast(ops.expand_dims(ops.sum(inputs, axis=1), -1), "float32") * 0.001
outputs = layers.Dense(3)(layers.Activation("silu")(h))
model = keras.Model(inputs, ops.softmax(outputs))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["sparse_top_k_categorical_accuracy"])
x, y = np.random.randint(0, 20, (90, 15)), np.random.randint(0, 3, 90)
history = model.fit(x, y, epochs=2, batch_size=32, verbose=0)
results = {**history.history, "p": model.predict(x[:3], verbose=0)}
