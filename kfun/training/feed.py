"""Feeds: where batches come from, in groups that one dispatch can take.

A feed is iterated once per epoch and yields `Group`s: `count` batches of one size, stacked along
a leading axis that may be longer than `count` (the rest is padding that no step reads, so that
the last group needs no compile of its own).

With a number of steps per epoch, an epoch goes on where the last one stopped; data that are at
their end begin anew, and an epoch that meets their end is `short`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from kfun.backends.jax.arrays import refuse_lost_bits
from kfun.training.prefetch import Prefetch

GROUP_BYTES = 64 << 20


class Group(NamedTuple):
    """Batches for one dispatch."""

    count: int  # how many batches
    rows: int  # rows of each batch
    batches: Any  # a pytree of arrays [>= count, rows, ...]


class Padded(NamedTuple):
    """A batch whose rows from `rows` on repeat its last one, so that all batches are of one size."""

    batch: Any
    rows: Any  # int32


class ArrayFeed:
    """Batches of arrays in memory.

    Args:
        data: a pytree of arrays of one length: `(x, y)` or `(x, y, sample_weight)`, None inside
            where something is missing.
        batch_size: rows of a batch; the last batch may have fewer.
        order: called with the number of rows when the rows begin anew; gives the order to take
            them in, or None for their own.
        steps: batches of an epoch; all if None.

    Attributes:
        pads: whether batches are `Padded`, if the last one is smaller than the others.

    Raises:
        ValueError: if the arrays differ in length, or have no rows.
    """

    pads = False

    def __init__(self, data: Any, batch_size: int, order: Callable[[int], Any] | None = None, steps: int | None = None):
        leaves = jax.tree.leaves(data)
        self.rows = check_lengths(data)
        if batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer; received {batch_size}")
        self.data, self.batch_size, self.order = data, int(batch_size), order
        self.whole = -(-self.rows // self.batch_size)  # batches that the data hold
        self.resumes = steps is not None
        self.steps = self.whole if steps is None else int(steps)
        self.row_bytes = sum(x.nbytes // max(1, x.shape[0]) for x in leaves)
        self.short = False  # whether the last epoch had fewer batches than `steps`
        self.reset()

    def reset(self) -> None:
        """Lets the next epoch begin at the first row."""
        self._next, self._order = 0, None

    def groups(self, size: int) -> Iterator[Group]:
        """Yields the epoch's groups of up to `size` batches."""
        b = self.batch_size
        if not self.resumes or self._next >= self.whole:
            self.reset()
        if self._next == 0 and self.order is not None:
            self._order = np.asarray(self.order(self.rows))
        last = min(self._next + self.steps, self.whole)
        self.short = last - self._next < self.steps
        uneven = self.pads and self.rows > b and self.rows % b > 0
        full = last if uneven else min(self.rows // b, last)
        held = self.whole if uneven else self.rows // b
        size = max(1, min(size, self.steps, held, GROUP_BYTES // max(1, self.row_bytes * b)))
        for first in range(self._next, full, size):
            count = min(size, full - first)
            self._next = first + count
            rows = min(count * b, self.rows - first * b)
            batches = self._take(first * b, rows, (size, b))
            if uneven:
                left = rows - b * np.arange(size, dtype=np.int32)
                batches = Padded(batches, np.clip(left, 0, b).astype(np.int32))
            yield Group(count, b, batches)
        if full < last:
            rest = self.rows - full * b
            self._next = last
            yield Group(1, rest, self._take(full * b, rest, (1, rest)))

    def _take(self, start: int, rows: int, lead: tuple[int, int]) -> Any:
        order = None if self._order is None else self._order[start : start + rows]

        def part(x):
            if isinstance(x, np.ndarray):
                x = refuse_lost_bits(_rows_of(x, start, rows, order, lead[0] * lead[1]))
                return x.reshape(*lead, *x.shape[1:])
            x = x[start : start + rows] if order is None else x[order]
            missing = lead[0] * lead[1] - rows
            if missing:
                pad = np.pad if isinstance(x, np.ndarray) else jax.numpy.pad
                x = pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1), mode="edge")
            return x.reshape(*lead, *x.shape[1:])

        return jax.tree.map(part, self.data)


def _rows_of(x: np.ndarray, start: int, rows: int, order: np.ndarray | None, length: int) -> np.ndarray:
    """Rows of an array, as a view or by one copy, the last one again after them up to a length."""
    if order is None and rows == length:
        return x[start : start + rows]
    out = np.empty((length, *x.shape[1:]), x.dtype)
    if order is None:
        out[:rows] = x[start : start + rows]
    else:
        # Without a mode, NumPy takes into a buffer first and copies that.
        np.take(x, order, axis=0, out=out[:rows], mode="clip")
    out[rows:] = out[rows - 1]
    return out


class StreamFeed:
    """Batches of an iterable (a generator, a data loader), fetched ahead by a thread.

    Args:
        source: gives an iterator of batches; called when the batches begin anew.
        steps: batches of an epoch; until the iterator ends if None.
        ahead: how many batches are fetched before they are asked for.

    Attributes:
        pads: whether batches are `Padded`, to the most rows that one of their form has had.
    """

    pads = False

    def __init__(self, source: Callable[[], Iterable], steps: int | None = None, ahead: int = 8):
        self.source, self.steps, self.ahead = source, steps, ahead
        self.look: Callable[[Any], None] | None = None  # called with each batch on the host
        self.short = False  # whether the last epoch had fewer batches than `steps`
        self.count = 0  # batches of the last epoch
        self._iterator: Iterator | None = None
        self._running: Prefetch | None = None
        self._widths: dict[Any, int] = {}  # batches of the largest group of each form
        self._heights: dict[Any, int] = {}  # rows of the largest batch of each form

    def reset(self) -> None:
        """Lets the next epoch begin with a new iterator."""
        self._iterator = None

    def groups(self, size: int) -> Iterator[Group]:
        """Yields the epoch's groups: neighbouring batches of one shape, up to `size`."""
        waiting: list[Any] = []
        form = None
        for batch in self._epoch():
            batch = jax.tree.map(lambda x: refuse_lost_bits(np.asarray(x)), batch)
            if self.look is not None:
                self.look(batch)
            if self.pads:
                batch = self._padded(batch)
            limit = max(1, min(size, GROUP_BYTES // max(1, sum(x.nbytes for x in jax.tree.leaves(batch)))))
            if waiting and (len(waiting) >= limit or form != _form(batch)):
                yield self._stack(waiting, form)
                waiting = []
            form = _form(batch) if not waiting else form
            waiting.append(batch)
            if limit == 1:
                yield self._stack(waiting, form)
                waiting = []
        if waiting:
            yield self._stack(waiting, form)

    def _epoch(self) -> Iterator[Any]:
        if self._running is not None:
            self._running.join()  # an epoch that was left early may still be at an item
        fresh = self._iterator is None or self.steps is None
        self.count = 0
        yield from self._run(fresh)
        if self.count == 0 and not fresh:  # the last epoch ended with the data
            yield from self._run(True)
        self.short = self.steps is not None and self.count < self.steps
        if self.short or self.steps is None:
            self._iterator = None

    def _run(self, fresh: bool) -> Iterator[Any]:
        if fresh or self._iterator is None:
            self._iterator = iter(self.source())
        self._running = Prefetch(self._iterator, self.ahead, self.steps)
        for batch in self._running:
            self.count += 1
            yield batch

    def _padded(self, batch: Any) -> Padded:
        rows = jax.tree.leaves(batch)[0].shape[0]
        form = _form(jax.tree.map(lambda x: x[:0], batch))
        height = self._heights[form] = max(rows, self._heights.get(form, 0))
        if rows < height:
            batch = jax.tree.map(lambda x: _rows_of(x, 0, rows, None, height), batch)
        return Padded(batch, np.int32(rows))

    def _stack(self, batches: list[Any], form: Any) -> Group:
        """A group by one copy of each batch; as long as the largest one of its form, to need no compile."""
        rows = jax.tree.leaves(batches[0])[0].shape[0]
        width = self._widths[form] = max(len(batches), self._widths.get(form, 0))

        def stacked(*parts: np.ndarray) -> np.ndarray:
            if width == 1:
                return parts[0][None]
            out = np.empty((width, *parts[0].shape), parts[0].dtype)
            np.stack(parts, out=out[: len(parts)])
            out[len(parts) :] = 0
            return out

        return Group(len(batches), rows, jax.tree.map(stacked, *batches))


def _form(batch: Any) -> Any:
    leaves, treedef = jax.tree.flatten(batch)
    return treedef, tuple((x.shape, x.dtype.str) for x in leaves)


def check_lengths(data: Any, what: str = "") -> int:
    """The common number of rows of all arrays.

    Args:
        data: a tree of arrays, usually `(x, y, sample_weight)`.
        what: begins the message of an error, such as `"batch 3: "`.

    Raises:
        ValueError: if there is none, or they differ; the message names the arrays by path.
    """
    from kfun.tree import flatten

    lengths = {path: x.shape[0] for path, x in flatten(data).items() if getattr(x, "ndim", 0)}
    if not lengths or 0 in lengths.values():
        raise ValueError(f"{what}the data have no rows: an epoch needs at least one example")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{_part(p)}: {n}" for p, n in lengths.items())
        raise ValueError(f"{what}the arrays differ in length ({shown}); every array needs the same number of rows")
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
