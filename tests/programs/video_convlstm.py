"""Next-frame prediction with ConvLSTM and Conv3D."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(31)
x = np.random.uniform(size=(8, 4, 6, 6, 1)).astype("float32")
inputs = layers.Input(shape=(None, 6, 6, 1))
h = layers.ConvLSTM2D(3, (3, 3), padding="same", return_sequences=True, activation="relu")(inputs)
h = layers.BatchNormalization()(h)
outputs = layers.Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same")(h)
model = keras.Model(inputs, outputs)
model.compile(loss="binary_crossentropy", optimizer="adam")
history = model.fit(x[:, :-1], x[:, 1:], batch_size=3, epochs=2, verbose=0)
results = {**history.history, "prediction": model.predict(x[:1, :-1], verbose=0)[0, -1, 0]}
