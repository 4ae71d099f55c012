"""What the tests of callbacks share: a model and data for both APIs, and callbacks that write down or interrupt."""

from __future__ import annotations

import numpy as np

import compat

X = np.ones((20, 3), "float32") * np.linspace(0.5, 1.5, 20, dtype="float32")[:, None]
Y = np.zeros((20, 1), "float32")


def model(api, optimizer="sgd", **kwargs):
    """A small compiled model with the same weights in both APIs."""
    made = api.Sequential([api.Input((3,), name="i"), api.layers.Dense(1, name="d")], name="s")
    made.compile(optimizer, "mse", metrics=["mae"], **kwargs)
    made.set_weights([np.array([[0.3], [-0.2], [0.6]], "float32"), np.array([0.1], "float32")])
    return made


def logs_of(api, values, name="m"):
    """A callback that puts values into the logs of the epochs."""

    class Logs(api.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs[name] = values[epoch]

    return Logs()


def diary(api):
    """A callback that writes down every call with its numbers and the names of its logs, and what it wrote."""
    seen = []

    def hook(name):
        def call(self, *args, **kwargs):
            logs = kwargs.get("logs", args[-1] if args else None)
            shown = {k: np.shape(v) for k, v in logs.items()}
            seen.append((name, *[a for a in args if isinstance(a, int)], shown))

        return call

    hooks = [
        h for h in dir(api.callbacks.Callback) if h.startswith("on_") and h not in ("on_batch_begin", "on_batch_end")
    ]
    made = type("Diary", (api.callbacks.Callback,), {h: hook(h) for h in hooks})()
    return made, seen


class Boom(compat.callbacks.Callback):
    """Interrupts the training after a batch of an epoch, or at the end of one."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_epoch_end(self, epoch, logs=None):
        if self.batch is None and epoch == self.at:
            raise RuntimeError("boom")


class BoomInBatch(Boom):
    """The same; it is called for each batch."""

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.at, self.batch):
            raise RuntimeError("boom")
