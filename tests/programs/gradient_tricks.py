"""Optimizers with clipping, accumulation, weight decay and schedules; constraints on weights."""

import keras
import numpy as np
from keras import layers

x = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
y = np.random.default_rng(1).integers(0, 3, 60)
schedules = keras.optimizers.schedules
makers = {
    "clipnorm": lambda: keras.optimizers.Adam(0.01, clipnorm=0.1),
    "global": lambda: keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=0.5),
    "accumulate": lambda: keras.optimizers.Adam(0.02, gradient_accumulation_steps=2),
    "cosine": lambda: keras.optimizers.AdamW(schedules.CosineDecay(0.02, 10, warmup_steps=3, warmup_target=0.05)),
    "piecewise": lambda: keras.optimizers.Ftrl(schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.05, 0.01])),
    "ema": lambda: keras.optimizers.RMSprop(0.01, use_ema=True, ema_overwrite_frequency=3, centered=True),
}
results = {}
for name, make in makers.items():
    keras.utils.set_random_seed(28)
    model = keras.Sequential(
        [
            layers.Dense(8, "selu", kernel_constraint=keras.constraints.MaxNorm(0.8), bias_regularizer="l1"),
            layers.AlphaDropout(0.1),
            layers.Dense(3),
        ]
    )
    model.compile(make(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    results[name] = model.fit(x, y, epochs=3, batch_size=14, verbose=0).history["loss"]
    results[f"{name}_norm"] = np.linalg.norm(model.get_weights()[0], axis=0)
