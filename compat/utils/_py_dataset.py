"""`PyDataset`: batches by number, written by the user."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any


class PyDataset:
    """A dataset whose batches are made by user code, in several threads or processes if that is asked for.

    A subclass defines `__getitem__(index)`, which gives the batch `(x, y)` or
    `(x, y, sample_weight)` of a number, and `__len__` or `num_batches`.

    Args:
        workers: threads or processes that make batches; with 1 they are made in one thread, in
            order.
        use_multiprocessing: whether workers are processes; the dataset must then be picklable,
            or the processes be forked.
        max_queue_size: how many batches may wait.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self._workers, self._use_multiprocessing, self._max_queue_size = workers, use_multiprocessing, max_queue_size

    def _option(self, name: str, default: Any) -> Any:
        if name not in self.__dict__:
            warnings.warn(
                f"{type(self).__name__} does not call `super().__init__(**kwargs)`: `workers`, `use_multiprocessing` "
                "and `max_queue_size` have their defaults",
                stacklevel=4,
            )
            self.__dict__.update({"_workers": 1, "_use_multiprocessing": False, "_max_queue_size": 10, name: default})
        return self.__dict__[name]

    @property
    def workers(self) -> int:
        """How many threads or processes make batches."""
        return self._option("_workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """Whether workers are processes."""
        return self._option("_use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """How many batches may wait."""
        return self._option("_max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        """The batch of a number; a subclass defines it."""
        raise TypeError(f"{type(self).__name__} must define __getitem__(index), which gives a batch")

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch; None if they never end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise TypeError(f"{type(self).__name__} must define __len__ or the property `num_batches`")

    def __iter__(self) -> Iterator[Any]:
        """The batches of an epoch, without end where their number is not known."""
        told = hasattr(self, "__len__") or type(self).num_batches is not PyDataset.num_batches
        count = self.num_batches if told else None
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before an epoch's first batch is made."""

    def on_epoch_end(self) -> None:
        """Called after an epoch, and before the first one of a fit."""
