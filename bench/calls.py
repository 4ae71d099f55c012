"""`model(x)` on one sample, `fit` with a callback at every batch, and `load_model`, against Keras on JAX.

All in the same process. Of `load_model` also the calls of our Python functions are counted.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import tempfile

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import compat
import kfun
from bench._timing import interleaved, report
from bench.fit import cnn, mlp32, tiny


def call_times(make, rounds: int) -> dict[str, list[float]]:
    """Seconds per call of a model on one sample."""
    runs = {}
    for name, api in (("compat", compat), ("keras-jax", keras)):
        model, shape, _, _ = make(api)
        x = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
        runs[name] = lambda m=model, x=x: np.asarray(m(x))
    return interleaved(runs, rounds, repeats=50)


def _counter(api, reads: bool):
    """A callback as users write them, which counts batches or keeps their losses."""

    class Counter(api.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.batches, self.losses = 0, []

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            if reads:
                self.losses.append(float(logs["loss"]))

    return Counter()


def callback_times(reads: bool, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of `fit` on `tiny` with a batch callback."""
    runs, steps = {}, 1
    for name, api in (("compat", compat), ("keras-jax", keras)):
        model, shape, batch, rows = tiny(api)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(rows, *shape)).astype("float32"), rng.integers(0, 10, rows).astype("int32")
        steps, callback = rows // batch, _counter(api, reads)
        runs[name] = lambda m=model, x=x, y=y, b=batch, c=callback: m.fit(x, y, batch_size=b, verbose=0, callbacks=[c])
    return {name: [t / steps for t in times] for name, times in interleaved(runs, rounds).items()}


def _saved(folder: str) -> str:
    """The file of a network of two dense layers, compiled and trained."""
    model = compat.Sequential([compat.Input((8,)), compat.layers.Dense(8, activation="relu"), compat.layers.Dense(8)])
    model.compile("adam", "mse", metrics=["mae"])
    x = np.zeros((64, 8), "float32")
    model.fit(x, x, verbose=0)
    path = os.path.join(folder, "small.keras")
    model.save(path)
    return path


def load_times(path: str, rounds: int) -> dict[str, list[float]]:
    """Seconds per `load_model` of a small file."""
    apis = {"compat": compat, "keras-jax": keras}
    return interleaved({name: lambda a=api: a.saving.load_model(path) for name, api in apis.items()}, rounds, 3)


def load_calls(path: str) -> int:
    """How many calls of functions of compat and kfun a second `load_model` makes, each resumed generator among them."""
    compat.saving.load_model(path)
    profile = cProfile.Profile()
    profile.runcall(compat.saving.load_model, path)
    homes = tuple(os.path.dirname(package.__file__) + os.sep for package in (compat, kfun))
    found = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    return sum(calls for (file, _, _), (calls, *_) in found if file.startswith(homes))


def loading() -> float:
    """Prints time and calls of `load_model`; gives the ratio of the times."""
    with tempfile.TemporaryDirectory() as folder:
        path = _saved(folder)
        ratio = report("load_model, two dense layers", load_times(path, 21), "compat", "keras-jax", 0.9, 1e3, "ms")
        print(f"  calls of functions of ours: {load_calls(path)}   goal at most 1000")
    return ratio


def main() -> dict[str, float]:
    """Prints all cases; gives the ratios."""
    return {
        "call tiny": report("model(x), one sample, tiny", call_times(tiny, 9), "compat", "keras-jax", 0.15),
        "call mlp32": report("model(x), one sample, mlp32", call_times(mlp32, 9), "compat", "keras-jax", 0.15),
        "call cnn": report("model(x), one sample, cnn", call_times(cnn, 9), "compat", "keras-jax", 0.3),
        "callback": report("fit, tiny, a batch callback", callback_times(False, 7), "compat", "keras-jax", 0.6),
        "callback logs": report("fit, tiny, a reading callback", callback_times(True, 7), "compat", "keras-jax", 0.6),
        "load": loading(),
    }


if __name__ == "__main__":
    main()
