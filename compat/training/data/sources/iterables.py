"""Python generators and other iterables of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from compat.training.data.sources.base import Source

LOOKED_AT = 2  # batches that Keras takes from a generator to learn its shapes


def source_of(x: Any) -> Source:
    """The source of an iterator, an iterable, or an object with `__len__` and `__getitem__`."""
    return Once(x) if hasattr(x, "__next__") else Again(x)


class Once(Source):
    """An iterator, which goes on from epoch to epoch.

    As in Keras, the first two batches begin every iteration: a generator that `validation_data`
    begins anew at each validation shows them each time, and then what follows.
    """

    kind = "a generator"

    def __init__(self, iterator: Iterator):
        self._iterator = iterator
        self._first: list[Any] = []

    def batches(self) -> Iterator[Any]:
        """The first two batches, then the iterator's next ones."""
        self.first()
        return itertools.chain(tuple(self._first), _rest(self._iterator))

    def first(self) -> Any:
        """The first batch; takes two from the iterator once."""
        if not self._first:
            self._first = list(itertools.islice(self._iterator, LOOKED_AT))
        return self._first[0] if self._first else None


def _rest(iterator: Iterator) -> Iterator[Any]:
    """The iterator's items; `yield from` would close the user's generator with this one."""
    for batch in iterator:  # noqa: UP028
        yield batch


class Again(Source):
    """Anything that can be iterated anew, or indexed from 0 to its length."""

    def __init__(self, x: Any):
        self._x = x
        try:
            self.steps = len(x) if hasattr(x, "__len__") else None
        except TypeError:  # of a dataset that has the method, but no length
            self.steps = None
        self.endless = hasattr(x, "cardinality") and int(x.cardinality()) == -1

    def batches(self) -> Iterator[Any]:
        """A new iteration."""
        if hasattr(self._x, "__iter__"):
            return iter(self._x)
        return (self._x[i] for i in range(len(self._x)))
