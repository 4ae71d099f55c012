"""What the tests of callbacks share: a model and data for both APIs, and a callback that writes down its calls."""

from __future__ import annotations

import numpy as np

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
