"""Callbacks of functions, schedules and logs on disk."""

from __future__ import annotations

import csv
import inspect
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from compat.callbacks._rates import rate_of, rated, rates
from compat.optimizers.schedules import LearningRateSchedule
from compat.state.messages import say
from compat.training.callbacks.callback import Callback
from kfun.errors import nearest


class LambdaCallback(Callback):
    """A callback of functions, with the arguments of the methods that they stand for.

    Args:
        on_epoch_begin, on_epoch_end: `(epoch, logs)`.
        on_train_begin, on_train_end: `(logs)`.
        on_train_batch_begin, on_train_batch_end: `(batch, logs)`.
        kwargs: functions for other methods of `Callback`.
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
            "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end, **kwargs,
        }  # fmt: skip
        for name, function in given.items():
            if name.startswith("on_") and not hasattr(Callback, name):
                known = [n for n in dir(Callback) if n.startswith("on_")]
                raise TypeError(f"LambdaCallback: a callback has no method {name!r}; {nearest(name, known)}")
            if function is not None:
                setattr(self, name, function)


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch; of a `MultiOptimizer` that of each of its optimizers.

    Args:
        schedule: `(epoch, learning rate)` or `(epoch)`, gives a number.
        verbose: 1 to say so.
    """

    def __init__(self, schedule: Callable, verbose: int = 0):
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch, logs=None):
        for name, optimizer in rated(self.model).items():
            rate = rate_of(optimizer)
            given = self.schedule(epoch, rate) if _takes_two(self.schedule) else self.schedule(epoch)
            rate = np.asarray(given)
            if rate.ndim or rate.dtype.kind not in "fiu":
                raise ValueError(f"LearningRateScheduler: the schedule must give a float; received {given!r}")
            optimizer.learning_rate = float(rate)
            if self.verbose:
                named = name.replace("_", " ", 2)
                say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting {named} to {float(rate)}.")

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(rates(self.model))


def _takes_two(schedule: Callable) -> bool:
    if isinstance(schedule, LearningRateSchedule):
        return False
    try:
        parameters = inspect.signature(schedule).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters) > 1


class CSVLogger(Callback):
    """Writes each epoch's metrics as a row of a file.

    The columns are those of the first epoch, with `val_...` beside each metric if that epoch was not
    validated: a later one may be. What an epoch lacks is `NA`.

    Args:
        filename: where to.
        separator: between values.
        append: whether to go on with an existing file.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.csv_file: Any = None
        self.writer: Any = None
        self.keys: list[str] | None = None
        self.append_header = True

    def on_train_begin(self, logs=None):
        started = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self.append_header = not started
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115 - closed at the end
        self.writer = None

    def on_epoch_end(self, epoch, logs=None):
        logs = dict(logs or {})
        if self.writer is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch} | {k: _cell(logs.get(k, "NA")) for k in self.keys or []})
        self.csv_file.flush()

    def on_train_end(self, logs=None):
        if self.csv_file is not None:
            self.csv_file.close()
            self.csv_file = self.writer = None


def _cell(value: Any) -> Any:
    return f'"[{", ".join(map(str, value))}]"' if np.ndim(value) else value
