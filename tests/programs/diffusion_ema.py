"""A small denoising model with an EMA copy by clone_model and normalization constants as weights."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(8)


@keras.saving.register_keras_serializable("programs")
def sinusoidal(t):
    frequencies = ops.exp(ops.linspace(ops.log(1.0), ops.log(100.0), 4))
    angles = 2.0 * np.pi * frequencies * t
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


def network():
    noisy, variance = keras.Input((6,)), keras.Input((1,))
    e = layers.Lambda(sinusoidal, output_shape=(8,))(variance)
    h = layers.Concatenate()([noisy, e])
    h = layers.Dense(16, activation=keras.activations.swish)(h)
    h = layers.Add()([h, layers.Dense(16)(h)])
    return keras.Model([noisy, variance], layers.Dense(6, kernel_initializer="zeros")(h), name="net")


net = network()
x = np.random.normal(size=(80, 6)).astype("float32")
t = np.random.uniform(size=(80, 1)).astype("float32")
noise = np.random.normal(size=(80, 6)).astype("float32")
noisy = np.sqrt(1 - t) * x + np.sqrt(t) * noise
ema = keras.models.clone_model(net)
ema.set_weights(net.get_weights())
net.compile(optimizer=keras.optimizers.AdamW(1e-2, weight_decay=1e-4, use_ema=True, ema_momentum=0.9), loss="mae")
history = net.fit([noisy, t], noise, epochs=3, batch_size=30, verbose=0)
for w, e in zip(net.weights, ema.weights):
    e.assign(0.9 * e + 0.1 * w)
results = {**history.history, "ema": ema.predict([noisy[:4], t[:4]], verbose=0), "same": len(ema.layers)}
