"""Feeds: where batches come from, in groups that one dispatch can take.

A feed is iterated once per epoch and yields `Group`s: `count` batches of one size, stacked along
a leading axis that may be longer than `count` (the rest is padding that no step reads, so that
the last group needs no compile of its own).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

GROUP_BYTES = 64 << 20


class Group(NamedTuple):
    """Batches for one dispatch."""

    count: int  # how many batches
    rows: int  # rows of each batch
    batches: Any  # a pytree of arrays [>= count, rows, ...]


class ArrayFeed:
    """Batches of arrays in memory.

    Args:
        data: a pytree of arrays of one length: `(x, y)` or `(x, y, sample_weight)`, None inside
            where something is missing.
        batch_size: rows of a batch; the last batch may have fewer.
        order: called at the start of each epoch with the number of rows; gives the order to take
            them in, or None for their own.
        steps: batches of an epoch; all if None.

    Raises:
        ValueError: if the arrays differ in length, or have no rows.
    """

    def __init__(self, data: Any, batch_size: int, order: Callable[[int], Any] | None = None, steps: int | None = None):
        leaves = jax.tree.leaves(data)
        self.rows = check_lengths(data)
        if batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer; received {batch_size}")
        self.data, self.batch_size, self.order = data, int(batch_size), order
        whole = -(-self.rows // self.batch_size)
        self.steps = whole if steps is None else min(steps, whole)
        self.row_bytes = sum(x.nbytes // max(1, x.shape[0]) for x in leaves)

    def groups(self, size: int) -> Iterator[Group]:
        """Yields the epoch's groups of up to `size` batches."""
        b = self.batch_size
        size = max(1, min(size, self.steps, GROUP_BYTES // max(1, self.row_bytes * b)))
        order = None if self.order is None else np.asarray(self.order(self.rows))
        full = min(self.rows // b, self.steps)
        for first in range(0, full, size):
            count = min(size, full - first)
            yield Group(count, b, self._take(order, first * b, count * b, (size, b)))
        rest = self.rows - full * b
        if rest and full < self.steps:
            yield Group(1, rest, self._take(order, full * b, rest, (1, rest)))

    def _take(self, order: Any, start: int, rows: int, lead: tuple[int, int]) -> Any:
        missing = lead[0] * lead[1] - rows

        def part(x):
            if order is not None:
                x = x[order[start : start + rows]]
            else:
                x = x[start : start + rows]
            if missing:
                x = _padded(x, missing)
            return x.reshape(*lead, *x.shape[1:])

        return jax.tree.map(part, self.data)


def _padded(x: Any, missing: int) -> Any:
    if isinstance(x, np.ndarray):
        return np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)])
    return jax.numpy.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1))


class StreamFeed:
    """Batches of an iterable (a generator, a data loader), fetched ahead by a thread.

    Args:
        source: called at the start of each epoch, gives an iterator of batches.
        steps: batches of an epoch; until the iterator ends if None.
        ahead: how many batches are fetched before they are asked for.
    """

    def __init__(self, source: Callable[[], Iterable], steps: int | None = None, ahead: int = 8):
        self.source, self.steps, self.ahead = source, steps, ahead
        self.look: Callable[[Any], None] | None = None  # called with each batch on the host

    def groups(self, size: int) -> Iterator[Group]:
        """Yields the epoch's groups: neighbouring batches of one shape, up to `size`."""
        waiting: list[Any] = []
        for batch in prefetch(self.source(), self.ahead, self.steps):
            batch = jax.tree.map(np.asarray, batch)
            if self.look is not None:
                self.look(batch)
            limit = max(1, min(size, GROUP_BYTES // max(1, sum(x.nbytes for x in jax.tree.leaves(batch)))))
            if waiting and (len(waiting) >= limit or _form(waiting[0]) != _form(batch)):
                yield _stack(waiting)
                waiting = []
            waiting.append(batch)
        if waiting:
            yield _stack(waiting)


def _form(batch: Any) -> Any:
    leaves, treedef = jax.tree.flatten(batch)
    return treedef, [(x.shape, x.dtype) for x in leaves]


def _stack(batches: list[Any]) -> Group:
    rows = jax.tree.leaves(batches[0])[0].shape[0]
    return Group(len(batches), rows, jax.tree.map(lambda *xs: np.stack(xs), *batches))


def prefetch(iterable: Iterable, ahead: int, limit: int | None = None) -> Iterator[Any]:
    """Yields from an iterable that a thread runs ahead; an error there is raised here."""
    items: queue.Queue = queue.Queue(maxsize=max(1, ahead))
    stop = threading.Event()
    end = object()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                items.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            iterator = iter(iterable)
            taken = 0
            while limit is None or taken < limit:
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                taken += 1
                if not put((None, item)):
                    return
            put((None, end))
        except BaseException as error:
            put((error, None))

    thread = threading.Thread(target=work, daemon=True, name="kfun-feed")
    thread.start()
    try:
        while True:
            error, item = items.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()


def check_lengths(data: Any) -> int:
    """The common number of rows of all arrays.

    Raises:
        ValueError: if there is none, or they differ; the message names the arrays by path.
    """
    from kfun.tree import flatten

    lengths = {path: x.shape[0] for path, x in flatten(data).items() if getattr(x, "ndim", 0)}
    if not lengths or 0 in lengths.values():
        raise ValueError("the data have no rows: an epoch needs at least one example")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{_part(p)}: {n}" for p, n in lengths.items())
        raise ValueError(f"the arrays differ in length ({shown}); every array needs the same number of rows")
    return next(iter(lengths.values()))


def _part(path: str) -> str:
    """`"0/..."` of a batch tuple as `x`, `y` or `sample_weight`."""
    first, _, rest = path.partition("/")
    named = {"0": "x", "1": "y", "2": "sample_weight"}.get(first, first)
    return f"{named}[{rest}]" if rest else named


def feed_of(data: Any, batch_size: int, order: Callable[[int], Any] | None = None) -> ArrayFeed | StreamFeed:
    """A feed of a tuple of arrays, or of any iterable of batches (which must be iterable anew)."""
    if isinstance(data, tuple):
        return ArrayFeed(data, batch_size, order)
    return StreamFeed(lambda: iter(data))
