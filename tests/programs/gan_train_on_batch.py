"""The old way to train a GAN: train_on_batch in turns, the discriminator frozen inside the combined model."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(6)
discriminator = keras.Sequential([keras.Input((5,)), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")])
discriminator.compile("adam", "binary_crossentropy", metrics=["accuracy"])
generator = keras.Sequential([keras.Input((3,)), layers.Dense(8, "relu"), layers.Dense(5)])
z = keras.Input((3,))
discriminator.trainable = False
combined = keras.Model(z, discriminator(generator(z)))
combined.compile("adam", "binary_crossentropy")
d, g = [], []
for _ in range(5):
    noise = np.random.normal(size=(16, 3))
    fake = generator.predict(noise, verbose=0)
    real = np.random.normal(1, 1, size=(16, 5))
    discriminator.trainable = True
    d.append(discriminator.train_on_batch(real, np.ones((16, 1))))
    d.append(discriminator.train_on_batch(fake, np.zeros((16, 1))))
    discriminator.trainable = False
    g.append(combined.train_on_batch(noise, np.ones((16, 1))))
results = {"d": d, "g": g, "trainable": len(combined.trainable_weights)}
