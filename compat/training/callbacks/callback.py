"""`Callback`, the base of callbacks, and the logs that they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Callback:
    """Base of callbacks: every method is called at its moment of training, and does nothing here.

    Small models step faster than steps can be dispatched. So methods of batches may be called some
    milliseconds after their batches, several in a row; what they see of the model is that of their batch.

    Attributes:
        model: the model that is trained.
        params: `{"verbose": ..., "epochs": ..., "steps": ...}`.
        kept_in_backups: names of attributes that `BackupAndRestore` keeps with a training and gives back when that
            goes on: numbers, lists of arrays, or None.
    """

    kept_in_backups: tuple[str, ...] = ()

    def __init__(self):
        self.params: dict | None = None
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model

    def set_params(self, params: dict) -> None:
        """Called with `{"verbose": ..., "epochs": ..., "steps": ...}`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called with the model."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """At the start of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """At the end of an epoch, with its metrics, those of validation under `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a training batch, with the metrics since the epoch began."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before an evaluation batch."""

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After an evaluation batch."""

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a prediction batch."""

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a prediction batch, with its `outputs`."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """At the start of training."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """At the end of training, with the last epoch's metrics."""

    def on_test_begin(self, logs: dict | None = None) -> None:
        """At the start of an evaluation."""

    def on_test_end(self, logs: dict | None = None) -> None:
        """At the end of an evaluation, with its metrics."""

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """At the start of a prediction."""

    def on_predict_end(self, logs: dict | None = None) -> None:
        """At the end of a prediction."""


class LazyLogs(dict):
    """Logs that are read from the device when somebody looks at them."""

    def __init__(self, logs: dict):
        super().__init__()
        self._waiting: dict | None = {n: logs[n] for n in sorted(logs)}

    def _read(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            for name, value in waiting.items():
                value = np.asarray(value)  # three times as fast as `jax.device_get` for a few scalars
                super().__setitem__(name, float(value) if value.ndim == 0 else value)


def _reading(method: str) -> Any:
    def call(self: LazyLogs, *args: Any, **kwargs: Any) -> Any:
        self._read()
        return getattr(dict, method)(self, *args, **kwargs)

    return call


for _name in ("__getitem__", "__iter__", "__len__", "__contains__", "__eq__", "__repr__", "__or__", "__setitem__",
              "__delitem__", "__ne__", "__ror__", "__ior__", "__reversed__", "get", "keys", "values", "items", "copy",
              "pop", "popitem", "update", "setdefault"):  # fmt: skip
    setattr(LazyLogs, _name, _reading(_name))
LazyLogs.__hash__ = None  # type: ignore[assignment]


def only_if(needed: Callable[[Any], bool]) -> Callable:
    """Marks a hook of batches that does nothing unless `needed(callback)`, so that steps can be run in groups.

    A subclass that overrides the hook loses the mark: what it does is not known.
    """

    def mark(method: Callable) -> Callable:
        method._needed = needed  # type: ignore[attr-defined]
        return method

    return mark


in_groups = only_if(lambda callback: False)
in_groups.__doc__ = "Marks a hook of batches that `on_group`, the call after several of them, can stand for."
