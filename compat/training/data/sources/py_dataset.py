"""`PyDataset`, compat's or Keras's: batches by number, fetched by threads or processes if it asks for them."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import random
from collections.abc import Iterable, Iterator
from typing import Any

from compat.training.data.in_order import in_order
from compat.training.data.sources.base import Source

_LIBRARIES = ("compat", "keras", "tf_keras", "tensorflow")


def is_py_dataset(x: Any) -> bool:
    """Whether `x` extends `keras.utils.PyDataset` (once `Sequence`) of compat, Keras or tf.keras."""
    return any(
        cls.__name__ in ("PyDataset", "Sequence") and cls.__module__.partition(".")[0] in _LIBRARIES
        for cls in type(x).__mro__
    )


class PyDatasetSource(Source):
    """A `PyDataset`; shuffled by its batches' numbers, from Python's random numbers as in Keras."""

    kind = "a PyDataset"

    def __init__(self, dataset: Any, shuffle: bool):
        self._dataset = dataset
        size = dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)
        self.steps = None if size is None else int(size)
        self.endless = size is None
        self._shuffle = shuffle and size is not None
        self._workers = max(1, int(getattr(dataset, "workers", 1) or 1))
        self._processes = bool(getattr(dataset, "use_multiprocessing", False))
        self.ahead = max(1, int(getattr(dataset, "max_queue_size", 10)))

    def batches(self) -> Iterator[Any]:
        """A new iteration, in a new order if shuffled."""
        numbers = self._numbers()
        if self._workers == 1 and not self._processes:
            return (_tuple(self._dataset[i]) for i in numbers)
        return map(_tuple, self._fetched(numbers))

    def _numbers(self) -> Iterable[int]:
        if self.steps is None:
            return itertools.count()
        order = list(range(self.steps))
        if self._shuffle:
            random.shuffle(order)
        return order

    def _fetched(self, numbers: Iterable[int]) -> Iterator[Any]:
        """Batches in order, up to `max_queue_size` of them under way."""
        get = _of_process if self._processes else self._dataset.__getitem__
        return in_order(self._executor(), get, numbers, max(self.ahead, self._workers))

    def _executor(self) -> concurrent.futures.Executor:
        if not self._processes:
            return concurrent.futures.ThreadPoolExecutor(self._workers, "compat-dataset")
        return concurrent.futures.ProcessPoolExecutor(
            self._workers, multiprocessing.get_context(), _hold, (self._dataset,)
        )

    def first(self) -> Any:
        """The batch that the first iteration of an epoch would begin with."""
        self.begin_epoch()
        number = next(iter(self._numbers()), None)
        return None if number is None else _tuple(self._dataset[number])

    def begin_epoch(self) -> None:
        """Tells the dataset, if it listens."""
        getattr(self._dataset, "on_epoch_begin", _nothing)()

    def end_epoch(self) -> None:
        """Tells the dataset, if it listens."""
        getattr(self._dataset, "on_epoch_end", _nothing)()


def _tuple(batch: Any) -> Any:
    """A batch of one array as a tuple, which steps of the user's own are given for a `PyDataset` in Keras."""
    return (batch,) if hasattr(batch, "shape") else batch


def _nothing() -> None:
    """What a dataset without a hook does."""


_HELD: list[Any] = []


def _hold(dataset: Any) -> None:
    """Keeps the dataset in a worker process, so that it is sent there once."""
    _HELD[:] = [dataset]


def _of_process(number: int) -> Any:
    return _HELD[0][number]
