"""Sentiment of token sequences with an embedding and two LSTMs, one of them bidirectional, with masking."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(1)
rng = np.random.default_rng(0)
sequences = [list(rng.integers(1, 50, rng.integers(3, 12))) for _ in range(96)]
x = keras.utils.pad_sequences(sequences, maxlen=10, padding="post", truncating="post")
y = np.array([float(sum(s) % 2) for s in sequences])
inputs = keras.Input(shape=(None,), dtype="int32")
h = layers.Embedding(50, 8, mask_zero=True)(inputs)
h = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(h)
h = layers.Bidirectional(layers.LSTM(4, dropout=0.2))(h)
outputs = layers.Dense(1, activation="sigmoid")(h)
model = keras.Model(inputs, outputs)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
history = model.fit(x, y, batch_size=20, epochs=2, validation_data=(x[:30], y[:30]), verbose=0)
results = {**history.history, "weights": [np.sum(w) for w in model.get_weights()]}
