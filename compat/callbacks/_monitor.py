"""Callbacks that watch a metric: early stopping, lower learning rates, NaN."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from compat.callbacks._rates import rate_of, rated, rates
from compat.state.messages import say
from compat.training.callbacks.callback import Callback
from kfun.errors import nearest

# Which way a metric improves goes by its class: the classes of Keras, and what derives from them.
_RISING = frozenset({
    "Accuracy", "AUC", "BinaryAccuracy", "CategoricalAccuracy", "ConcordanceCorrelation", "CosineSimilarity",
    "F1Score", "FBetaScore", "IoU", "BinaryIoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation",
    "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision", "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity",
    "TopKCategoricalAccuracy",
})  # fmt: skip
_FALLING = frozenset({
    "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge", "Hinge", "KLDivergence", "LogCoshError",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "RootMeanSquaredError", "SparseCategoricalCrossentropy", "SquaredHinge",
})  # fmt: skip


class Monitor(Callback):
    """Base of callbacks that compare a metric with its best value so far.

    Args:
        monitor: the metric's name in the logs.
        mode: `"min"`, `"max"`, or `"auto"`: losses fall, metrics go the way of their class.
        best: the value to be better than at first.
        min_delta: by how much a value must be better.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", best: Any = None, min_delta: float = 0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__}: the mode {mode!r} is unknown; going on with 'auto'", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.best, self.min_delta = monitor, mode, best, abs(min_delta)
        self.monitor_op: Callable | None = None  # `monitor_op(a, b)`: whether a is better than b

    def _set_monitor_op(self) -> None:
        """Settles which way the metric improves; the metrics of the model are known only in training.

        Raises:
            ValueError: if the mode is "auto" and the metric's name does not tell.
        """
        if self.monitor_op is not None:
            return
        way = self.mode if self.mode != "auto" else _way_of(self.monitor, self.model)
        if way is None:
            raise ValueError(
                f"{type(self).__name__}: it is not known whether {self.monitor!r} should rise or fall; pass mode='max' "
                "or mode='min'"
            )
        self.monitor_op = np.less if way == "min" else np.greater

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """Whether a value is better than another by more than `min_delta`."""
        if reference is None:
            return True
        self._set_monitor_op()
        shifted = value + self.min_delta if self.monitor_op is np.less else value - self.min_delta
        return bool(self.monitor_op(shifted, reference))  # type: ignore[misc]

    def get_monitor_value(self, logs: dict | None) -> float | None:
        """The metric's value; None, with a warning, if the logs have none."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: there is no {self.monitor!r} in the logs; {nearest(self.monitor, logs or [])}",
                stacklevel=2,
            )
        return value


def _way_of(monitor: str, model: Any) -> str | None:
    """`"min"`, `"max"`, or None if it is not known."""
    name = monitor.removeprefix("val_")
    if name == "loss":
        return "min"
    outputs = getattr(model, "output_names", None) or []
    names = [name, *(name.removeprefix(f"{o}_") for o in outputs if name.startswith(f"{o}_"))]
    if "loss" in names:
        return "min"
    grouped = [getattr(m, "metrics", [m]) for m in model.metrics]  # those of `compile` are one
    for metric in (m for group in grouped for m in group):
        if metric.name in names:
            direction = getattr(metric, "_direction", None)
            classes = {c.__name__ for c in type(metric).__mro__}
            if direction == "up" or classes & _RISING:
                return "max"
            if direction == "down" or classes & _FALLING:
                return "min"
    return None


class EarlyStopping(Monitor):
    """Stops training when a metric has not improved for a while.

    Args:
        monitor, min_delta, mode: what is watched.
        patience: how many epochs without improvement are borne.
        verbose: 1 to say so.
        baseline: the wait goes on until a value is better than it.
        restore_best_weights: whether to go back to the weights of the best epoch at the end.
        start_from_epoch: epochs before it are not watched.
    """

    kept_in_backups = ("best", "wait", "best_epoch", "stopped_epoch", "best_weights")

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
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs=None):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        self._set_monitor_op()
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                say(f"taking back the weights of the best epoch, number {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate, or the rates of a `MultiOptimizer`, when a metric has not improved for a while.

    Args:
        monitor, min_delta, mode: what is watched.
        factor: the learning rate is multiplied by it, below 1.
        patience: how many epochs without improvement are borne.
        verbose: 1 to say so.
        cooldown: epochs after a change that are not watched.
        min_lr: the lowest learning rate.
        kwargs: names of older versions, which have no effect; a warning names them.
    """

    kept_in_backups = ("best", "wait", "cooldown_counter")

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
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: expected a factor below 1; received {factor}")
        if kwargs:
            warnings.warn(f"ReduceLROnPlateau: {', '.join(sorted(kwargs))} has no effect", stacklevel=2)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs=None):
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def in_cooldown(self) -> bool:
        """Whether the last change is so recent that nothing is watched."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch, logs=None):
        self._set_monitor_op()
        logs = {} if logs is None else logs
        logs.update(rates(self.model))
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, epoch: int) -> bool:
        """Lowers all rates that are above the lowest; whether there was one."""
        reduced = False
        for name, optimizer in rated(self.model).items():
            rate = rate_of(optimizer)
            if rate > np.float32(self.min_lr):
                optimizer.learning_rate = lower = max(rate * self.factor, self.min_lr)
                reduced = True
                if self.verbose:
                    named = name.replace("_", " ", 2)
                    say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing {named} to {lower}.")
        return reduced


class TerminateOnNaN(Callback):
    """Stops training after the batch whose loss is NaN or infinite.

    Args:
        raise_error: whether to raise a RuntimeError instead, so that no later callback saves the weights.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"the loss is no longer finite (NaN or Inf) at batch {batch}: {loss}")
            say(f"Batch {batch}: the loss is {loss}, terminating training")
            self.model.stop_training = True
