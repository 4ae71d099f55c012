"""The progress bar of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import time
from typing import Any

from compat.state.messages import say
from compat.training.callbacks.callback import Callback, in_groups
from compat.training.callbacks.progbar import Progbar


class ProgbarLogger(Callback):
    """Shows progress, speed and metrics: a bar if `verbose` is 1, a line per epoch if it is 2."""

    def __init__(self):
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose, self.epochs = 1, 1
        self._in_fit = False

    def set_params(self, params: dict) -> None:
        super().set_params(params)
        self.verbose, self.epochs = params["verbose"], params["epochs"]
        self.target = params["steps"]

    def on_train_begin(self, logs=None):
        self._in_fit = True

    def on_epoch_begin(self, epoch, logs=None):
        self._begin()
        if self.verbose and self.epochs > 1:
            say(f"Epoch {epoch + 1}/{self.epochs}")

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_train_end(self, logs=None):
        self._in_fit = False

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            self._begin()

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs=None):
        self._begin()

    def on_predict_end(self, logs=None):
        self._finish(logs)

    @in_groups
    def on_train_batch_end(self, batch, logs=None):
        self.on_group("train", batch + 1, logs)

    @in_groups
    def on_test_batch_end(self, batch, logs=None):
        self.on_group("test", batch + 1, logs)

    @in_groups
    def on_predict_batch_end(self, batch, logs=None):
        self.on_group("predict", batch + 1, None)

    def on_group(self, mode: str, done: int, logs: Any) -> None:
        """Moves the bar to `done` batches, if it is time to: reading the logs waits for the device."""
        if (mode != "train" and self._in_fit) or self.progbar is None:
            return
        self.seen = done if self.target is None else min(done, self.target)
        if self.progbar.due(time.time()):
            self.progbar.update(self.seen, list((logs or {}).items()), finalize=False)

    def _begin(self) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=[], unit_name="step")

    def _finish(self, logs: dict | None) -> None:
        if self.progbar is not None:
            self.progbar.target = self.target = self.target or self.seen
            self.progbar.update(self.target, list((logs or {}).items()), finalize=True)
