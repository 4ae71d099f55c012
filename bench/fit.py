"""`fit` of three models and `predict` of one sample, against Keras on JAX in the same process."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import compat
from bench._timing import interleaved, report


def tiny(api):
    """20-32-10: pure overhead."""
    layers = api.layers
    model = api.Sequential([api.Input((20,)), layers.Dense(32, activation="relu"), layers.Dense(10)])
    model.compile("adam", api.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, (20,), 32, 32 * 1000


def mlp32(api):
    """784-256-128-10 at batch 32: bound by computation."""
    layers = api.layers
    model = api.Sequential(
        [
            api.Input((784,)),
            layers.Dense(256, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    model.compile("adam", api.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, (784,), 32, 32 * 500


def cnn(api):
    """Two convolutions, a pool and two dense layers at batch 64."""
    layers = api.layers
    model = api.Sequential(
        [
            api.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    model.compile("adam", api.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, (28, 28, 1), 64, 64 * 20


def fit_times(make, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of both, from the same data."""
    runs, steps = {}, 1
    for name, api in (("compat", compat), ("keras-jax", keras)):
        model, shape, batch, rows = make(api)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(rows, *shape)).astype("float32"), rng.integers(0, 10, rows).astype("int32")
        steps = rows // batch
        runs[name] = lambda m=model, x=x, y=y, b=batch: m.fit(x, y, batch_size=b, epochs=1, verbose=0)
    return {name: [t / steps for t in times] for name, times in interleaved(runs, rounds).items()}


def predict_times(make, rounds: int) -> dict[str, list[float]]:
    """Seconds per `predict` of one sample."""
    runs = {}
    for name, api in (("compat", compat), ("keras-jax", keras)):
        model, shape, _, _ = make(api)
        x = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
        runs[name] = lambda m=model, x=x: m.predict(x, verbose=0)
    return interleaved(runs, rounds, repeats=30)


def main() -> dict[str, float]:
    """Prints all cases; gives the ratios."""
    return {
        "tiny": report("fit, tiny, per step", fit_times(tiny, 7), "compat", "keras-jax", 0.25),
        "mlp32": report("fit, mlp32, per step", fit_times(mlp32, 7), "compat", "keras-jax", 1.05),
        "cnn": report("fit, cnn, per step", fit_times(cnn, 5), "compat", "keras-jax", 1.0, 1e3, "ms"),
        "predict": report("predict, one sample, mlp32", predict_times(mlp32, 9), "compat", "keras-jax", 0.25),
        "predict cnn": report("predict, one sample, cnn", predict_times(cnn, 9), "compat", "keras-jax", 0.6),
    }


if __name__ == "__main__":
    main()
