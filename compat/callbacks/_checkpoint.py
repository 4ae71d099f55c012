"""`ModelCheckpoint`: saves the model while it trains."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from compat.callbacks._monitor import Monitor
from compat.state.messages import say
from compat.training.callbacks.callback import only_if


class BatchCounter:
    """Counts batches since the last save, also where several of them make one step.

    Args:
        every: how many batches there are between two saves.
    """

    def __init__(self, every: int):
        self.every, self.since, self.last = every, 0, -1

    def due(self, batch: int) -> bool:
        """Whether it is time to save after this batch of the epoch; then the count begins anew."""
        self.since += batch + 1 if batch <= self.last else batch - self.last
        self.last = batch
        if self.since < self.every:
            return False
        self.since = 0
        return True


def checked_frequency(name: str, save_freq: Any) -> Any:
    """A `save_freq` argument: `"epoch"` or a number of batches.

    Raises:
        ValueError: if it is neither.
    """
    whole = isinstance(save_freq, (int, np.integer)) and not isinstance(save_freq, bool) and save_freq > 0
    if save_freq != "epoch" and not whole:
        raise ValueError(
            f"{name}: save_freq: expected 'epoch' or a number of batches. Invalid value received: {save_freq!r}"
        )
    return save_freq


class BestKeeper(Monitor):
    """Base of callbacks that save at the end of epochs or every so many batches, everything or the best alone.

    Args:
        monitor, mode: what is watched with `save_best_only`.
        verbose: 1 to say so.
        save_best_only: whether only a better model is saved.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: the value to be better than at first.
    """

    kept_in_backups = ("best", "_counter.since", "_counter.last")

    def __init__(
        self, monitor: str, mode: str, verbose: int, save_best_only: bool, save_freq: Any, initial_value_threshold: Any
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose, self.save_best_only = verbose, save_best_only
        self.save_freq = checked_frequency(type(self).__name__, save_freq)
        self._counter = BatchCounter(0 if save_freq == "epoch" else save_freq)
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    @only_if(lambda self: self.save_freq != "epoch")
    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch" and self._counter.due(batch):
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict | None) -> None:
        raise TypeError(f"{type(self).__name__} must define _save(epoch, batch, logs)")

    def _better(self, epoch: int, logs: dict, what: str) -> bool:
        """Whether this is to be saved: it is better than the best so far, or nobody can tell."""
        if not self.save_best_only:
            if self.verbose:
                say(f"\nEpoch {epoch + 1}: saving {what}")
            return True
        value = logs.get(self.monitor)
        if value is None or np.ndim(value):
            shown = "is not in the logs" if value is None else "is no single number"
            warnings.warn(f"{type(self).__name__}: {self.monitor!r} {shown}; saving all the same", stacklevel=4)
            return True
        self._set_monitor_op()
        if not self._is_improvement(value, self.best):
            if self.verbose:
                say(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
            return False
        if self.verbose:
            before = "None" if self.best is None else f"{self.best:.5f}"
            say(f"\nEpoch {epoch + 1}: {self.monitor} improved from {before} to {value:.5f}, saving {what}")
        self.best = value
        return True


class ModelCheckpoint(BestKeeper):
    """Saves the model, or its weights, while it trains.

    Args:
        filepath: with places for the epoch and the logs, as in `"{epoch:02d}-{val_loss:.2f}.keras"`; also
            for the batch, if `save_freq` is a number.
        monitor, mode: what is watched with `save_best_only`.
        verbose: 1 to say so.
        save_best_only: whether only a better model is saved.
        save_weights_only: whether only the weights are saved, to a `.weights.h5` file.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: the value to be better than at first.

    Raises:
        ValueError: if the path has another ending.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, verbose, save_best_only, save_freq, initial_value_threshold)
        self.filepath, self.save_weights_only = os.fspath(filepath), save_weights_only
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending) and not (self.filepath.endswith(".h5") and not save_weights_only):
            what = "save_weights_only=True" if save_weights_only else "a whole model"
            raise ValueError(f"ModelCheckpoint: the filepath for {what} must end in {ending}; received {self.filepath}")

    def _save(self, epoch: int, batch: int | None, logs: dict | None) -> None:
        logs = dict(logs or {})
        path = self._path(epoch, batch, logs)
        if not self._better(epoch, logs, f"model to {path}"):
            return
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict) -> str:
        given = {"epoch": epoch + 1, **logs} | ({} if batch is None else {"batch": batch + 1})
        try:
            return self.filepath.format(**given)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: {self.filepath!r} asks for {error}; known here are {', '.join(sorted(given))}"
            ) from None
