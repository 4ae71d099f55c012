"""Callbacks that watch a metric: early stopping, checkpoints, lower learning rates, NaN."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from compat.callbacks._base import Callback
from kfun.errors import nearest

_RISING = ("acc", "auc", "precision", "recall", "f1", "fbeta", "f_beta", "iou", "r2", "true_positives",
           "true_negatives", "sensitivity", "specificity", "pearson", "concordance", "cosine_similarity")  # fmt: skip


class Monitor(Callback):
    """Base of callbacks that compare a metric with its best value so far.

    Args:
        monitor: the metric's name in the logs.
        mode: `"min"`, `"max"`, or `"auto"`, which goes by the name.
        min_delta: by how much a value must be better.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode: expected auto, min or max; received {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        name = monitor.removeprefix("val_")
        self._rising = mode == "max" or (mode == "auto" and any(word in name for word in _RISING))

    def worst(self) -> float:
        """A value that every other is better than."""
        return -np.inf if self._rising else np.inf

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value is better by at least `min_delta`."""
        if than is None:
            return True
        return value - self.min_delta > than if self._rising else value + self.min_delta < than

    def current(self, logs: dict | None) -> float | None:
        """The metric's value; None, with a warning, if the logs have none."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: there is no {self.monitor!r} in the logs; {nearest(self.monitor, logs or [])}",
                stacklevel=2,
            )
        return value


class EarlyStopping(Monitor):
    """Stops training when a metric has not improved for a while.

    Args:
        monitor, min_delta, mode: what is watched.
        patience: how many epochs without improvement are borne.
        verbose: 1 to say so.
        baseline: improvement only counts beyond it.
        restore_best_weights: whether to go back to the weights of the best epoch at the end.
        start_from_epoch: epochs before it are not watched.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: Any = None

    def on_train_begin(self, logs=None):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        value = self.current(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a metric has not improved for a while.

    Args:
        monitor, min_delta, mode: what is watched.
        factor: the learning rate is multiplied by it, below 1.
        patience: how many epochs without improvement are borne.
        verbose: 1 to say so.
        cooldown: epochs after a change that are not watched.
        min_lr: the lowest learning rate.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: expected a factor below 1; received {factor}")
        self.factor, self.patience, self.verbose, self.cooldown, self.min_lr = (
            factor,
            patience,
            verbose,
            cooldown,
            min_lr,
        )
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.best, self.wait, self.cooldown_counter = self.worst(), 0, 0

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        logs["learning_rate"] = rate
        value = self.current(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                lower = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = lower
                if self.verbose:
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lower}.")
                self.cooldown_counter, self.wait = self.cooldown, 0


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, while it trains.

    Args:
        filepath: with places for the epoch and the logs, as in `"{epoch:02d}-{val_loss:.2f}.keras"`.
        monitor, mode: what is watched with `save_best_only`.
        verbose: 1 to say so.
        save_best_only: whether only a better model is saved.
        save_weights_only: whether only the weights are saved, to a `.weights.h5` file.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: the value to be better than at first.
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
        super().__init__(monitor, mode)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only, self.save_freq = save_best_only, save_weights_only, save_freq
        self.best = initial_value_threshold
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"ModelCheckpoint: save_freq: expected 'epoch' or a number of batches; received {save_freq!r}"
            )
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending) and not (self.filepath.endswith(".h5") and not save_weights_only):
            what = "save_weights_only=True" if save_weights_only else "a whole model"
            raise ValueError(f"ModelCheckpoint: the filepath for {what} must end in {ending}; received {self.filepath}")
        self._epoch, self._seen = 0, 0
        if save_freq != "epoch":
            self.on_train_batch_end = self._after_batch

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def _after_batch(self, batch, logs=None):
        self._seen += 1
        if self._seen % self.save_freq == 0:
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict | None) -> None:
        logs = dict(logs or {})
        if self.save_best_only:
            value = self.current(logs)
            if value is None or not self.better(value, self.best):
                return
            if self.verbose:
                print(f"\nEpoch {epoch + 1}: {self.monitor} improved from {self.best} to {value:.5f}")
            self.best = value
        path = self._path(epoch, batch, logs)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: saved {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict) -> str:
        try:
            if batch is None:
                return self.filepath.format(epoch=epoch + 1, **logs)
            return self.filepath.format(epoch=epoch + 1, batch=batch + 1, **logs)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: {self.filepath!r} asks for {error}; known here are epoch and {sorted(logs)}"
            ) from None


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Args:
        raise_error: whether to raise a RuntimeError instead, so that no later callback saves the weights.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_group(self, mode: str, done: int, logs: Any) -> None:
        """Looks at the loss after every dispatch."""
        if mode == "train":
            self.on_train_batch_end(done - 1, logs)

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"batch {batch + 1}: the loss is {loss}")
            print(f"Batch {batch + 1}: the loss is {loss}, terminating training")
            self.model.stop_training = True
