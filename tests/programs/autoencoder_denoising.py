"""A convolutional autoencoder with noise on its input, saved and loaded in between."""

import os
import tempfile

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(18)
x = np.random.uniform(size=(48, 12, 12, 1)).astype("float32")
inputs = layers.Input(shape=(12, 12, 1))
h = layers.GaussianNoise(0.2)(inputs)
h = layers.Conv2D(6, 3, activation="relu", padding="same", strides=2)(h)
h = layers.Conv2D(4, 3, activation="relu", padding="same", strides=2)(h)
h = layers.Conv2DTranspose(6, 3, strides=2, activation="relu", padding="same")(h)
h = layers.UpSampling2D(2)(h)
outputs = layers.Conv2D(1, 3, activation="sigmoid", padding="same")(h)
autoencoder = keras.Model(inputs, outputs)
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
first = autoencoder.fit(x, x, epochs=2, batch_size=20, verbose=0).history["loss"]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.keras")
    autoencoder.save(path)
    loaded = keras.models.load_model(path)
second = loaded.fit(x, x, epochs=2, batch_size=20, verbose=0, shuffle=False).history["loss"]
results = {"first": first, "second": second, "iterations": int(loaded.optimizer.iterations.numpy())}
