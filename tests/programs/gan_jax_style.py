"""A GAN whose train_step is written for the JAX backend with stateless calls."""

import jax
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(5)
latent = 4
discriminator = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.LeakyReLU(), layers.Dense(1)])
generator = keras.Sequential([keras.Input((latent,)), layers.Dense(8, activation="relu"), layers.Dense(6)])
d_opt, g_opt = keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2)
d_opt.build(discriminator.trainable_variables)
g_opt.build(generator.trainable_variables)
loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
seeds = keras.random.SeedGenerator(7)


def d_loss(dt, dn, both, labels):
    logits, dn = discriminator.stateless_call(dt, dn, both, training=True)
    return loss_fn(labels, logits), dn


def g_loss(gt, gn, dt, dn, z, labels):
    fake, gn = generator.stateless_call(gt, gn, z, training=True)
    logits, _ = discriminator.stateless_call(dt, dn, fake)
    return loss_fn(labels, logits), gn


@jax.jit
def step(state, real, z1, z2):
    dt, dn, do, gt, gn, go = state
    fake, _ = generator.stateless_call(gt, gn, z1)
    n = real.shape[0]
    labels = ops.concatenate([ops.ones((n, 1)), ops.zeros((n, 1))], axis=0)
    (dl, dn), grads = jax.value_and_grad(d_loss, has_aux=True)(dt, dn, ops.concatenate([fake, real], axis=0), labels)
    dt, do = d_opt.stateless_apply(do, grads, dt)
    (gl, gn), grads = jax.value_and_grad(g_loss, has_aux=True)(gt, gn, dt, dn, z2, ops.zeros((n, 1)))
    gt, go = g_opt.stateless_apply(go, grads, gt)
    return (dt, dn, do, gt, gn, go), dl, gl


def values(variables):
    return [v.value for v in variables]


state = (
    values(discriminator.trainable_variables), values(discriminator.non_trainable_variables), values(d_opt.variables),
    values(generator.trainable_variables), values(generator.non_trainable_variables), values(g_opt.variables),
)  # fmt: skip
data = np.random.normal(2.0, 0.5, size=(64, 6)).astype("float32")
d_losses, g_losses = [], []
for i in range(8):
    z1, z2 = keras.random.normal((16, latent), seed=seeds), keras.random.normal((16, latent), seed=seeds)
    state, dl, gl = step(state, data[i % 4 * 16 : i % 4 * 16 + 16], z1, z2)
    d_losses.append(float(dl))
    g_losses.append(float(gl))
for variable, value in zip(generator.trainable_variables, state[3]):
    variable.assign(value)
results = {"d": d_losses, "g": g_losses, "sample": generator.predict(np.ones((2, latent)), verbose=0)}
