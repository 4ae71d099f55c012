"""`model(x)` on one sample, and `fit` with a callback at every batch, against Keras on JAX in the same process."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import compat
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


def main() -> dict[str, float]:
    """Prints all cases; gives the ratios."""
    return {
        "call tiny": report("model(x), one sample, tiny", call_times(tiny, 9), "compat", "keras-jax", 0.15),
        "call mlp32": report("model(x), one sample, mlp32", call_times(mlp32, 9), "compat", "keras-jax", 0.15),
        "call cnn": report("model(x), one sample, cnn", call_times(cnn, 9), "compat", "keras-jax", 0.3),
        "callback": report("fit, tiny, a batch callback", callback_times(False, 7), "compat", "keras-jax", 0.6),
        "callback logs": report("fit, tiny, a reading callback", callback_times(True, 7), "compat", "keras-jax", 0.6),
    }


if __name__ == "__main__":
    main()
