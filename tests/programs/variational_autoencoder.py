"""A VAE with a sampling layer, KL loss by add_loss."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(4)


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class VAE(keras.Model):
    def __init__(self, latent=2, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(16, activation="relu")
        self.mean, self.log_var = layers.Dense(latent, name="z_mean"), layers.Dense(latent, name="z_log_var")
        self.sampling = Sampling()
        self.decoder = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(20, activation="sigmoid")])

    def call(self, x):
        h = self.hidden(x)
        mean, log_var = self.mean(h), self.log_var(h)
        kl = -0.5 * ops.mean(log_var - ops.square(mean) - ops.exp(log_var) + 1)
        self.add_loss(kl)
        return self.decoder(self.sampling((mean, log_var)))


x = np.random.uniform(size=(90, 20)).astype("float32")
vae = VAE()
vae.compile(optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.MeanSquaredError())
history = vae.fit(x, x, epochs=3, batch_size=32, verbose=0)
results = {**history.history, "losses": len(vae.losses), "names": len(vae.weights)}
