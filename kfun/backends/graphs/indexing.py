"""Readings of indices that need no graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kfun import dtypes, ops

FAR = np.iinfo(np.int32).max  # beyond the end of every axis


class Plan(NamedTuple):
    """What an index asks for, in the order in which it is done.

    Attributes:
        cuts: `(axis, start, stop, step)` of each slice.
        gathered: the axis of the index array and the array; None if there is none.
        gone: axes that vanish after that.
        new: places of the axes of size 1 in the result.
    """

    cuts: list[tuple]
    gathered: tuple[int, Any] | None
    gone: list[int]
    new: list[int]


def planned(index: Any, x: Any, index_array: Callable) -> Plan:
    """How `x[index]` is made of slices, one gather, and axes that vanish or are new.

    Args:
        index: an index, or a tuple of them.
        x: the graph value.
        index_array: makes a graph value of integers of what is neither slice, int nor None.

    Raises:
        TypeError: if there are two arrays, or an array and an int apart from each other.
        IndexError: if an int is out of range.
    """
    parts = spread(index, x.ndim)
    cuts: list[tuple] = []
    gathered: tuple[int, Any] | None = None
    gone, new, axis, place = [], [], 0, 0  # axis: of x; place: of the result
    for part in parts:
        if part is None:
            new.append(place)
            place += 1
            continue
        if isinstance(part, slice):
            if part != slice(None):
                cuts.append(cut(part, axis))
            place += 1
        elif isinstance(part, (int, np.integer)):
            check_index(int(part), x.shape, axis)
            cuts.append((axis, int(part), int(part) + 1 if part != -1 else FAR, 1))
            gone.append(axis)
        else:
            if gathered is not None:
                raise TypeError("ops.getitem: one integer array at most; index by the others with ops.take")
            gathered = axis, integers_alone(index_array(part))
            place += gathered[1].ndim
        axis += 1
    if gathered is not None and gone:
        gone = _behind_array(gone, *gathered, parts)
    return Plan(cuts, gathered, gone, new)


def _behind_array(gone: list[int], at: int, indices: Any, parts: Sequence[Any]) -> list[int]:
    """The axes that vanish, counted after the gather at an axis; raises TypeError if they are apart from it."""
    if not adjacent(parts):
        raise TypeError("ops.getitem: an int and an array apart from each other; use ops.take for the array")
    return [g if g < at else g - 1 + indices.ndim for g in gone]


def integers_alone(indices: Any) -> Any:
    """An index array; raises TypeError if it holds no integers."""
    if not dtypes.is_integer(indices.dtype):
        raise TypeError(f"ops.getitem: expected integer indices; received {indices!r}. For a mask use ops.where")
    return indices


def spread(index: Any, rank: int) -> list:
    """The parts of an index, one per axis of the array besides None, with the Ellipsis written out."""
    parts = list(index) if isinstance(index, tuple) else [index]
    used = sum(p is not None and p is not Ellipsis for p in parts)
    if used > rank:
        raise IndexError(f"too many indices: {used} for an array with {rank} axes")
    at = next((i for i, p in enumerate(parts) if p is Ellipsis), len(parts))
    return [*parts[:at], *[slice(None)] * (rank - used), *parts[at + 1 :]]


def cut(part: slice, axis: int) -> tuple:
    """Axis, start, stop and step of a slice."""
    step = 1 if part.step is None else part.step
    back = isinstance(step, (int, np.integer)) and step < 0
    start = (-1 if back else 0) if part.start is None else part.start
    stop = (-FAR - 1 if back else FAR) if part.stop is None else part.stop
    return axis, start, stop, step


def check_index(i: int, shape: Sequence[Any], axis: int) -> None:
    """Raises IndexError for an index beyond an axis of known size."""
    size = shape[axis]
    if isinstance(size, int) and not -size <= i < size:
        raise IndexError(f"index {i} is out of range for axis {axis} with size {size}")


def adjacent(parts: Sequence[Any]) -> bool:
    """Whether the ints and arrays of an index stand side by side."""
    places = [i for i, p in enumerate(parts) if p is not None and not isinstance(p, slice)]
    return places == list(range(places[0], places[-1] + 1))


def match_other_axes(x: Any, indices: Any, axis: int) -> tuple[Any, Any]:
    """Broadcasts axes of size 1 other than `axis`; sizes that are known and alike stay."""

    def wide(a: Any, b: Any) -> Any:
        pairs = enumerate(zip(a.shape, b.shape, strict=True))
        sizes = [n if i != axis and isinstance(m, int) and m == 1 else m for i, (m, n) in pairs]
        same = all(m is n for m, n in zip(sizes, a.shape, strict=True))
        return a if same else ops.broadcast_to(a, sizes)

    return wide(x, indices), wide(indices, x)


def start_list(start_indices: Any, value: type, rank: int) -> list:
    """The starts of a block one by one, of a sequence or of a graph value of the class `value`."""
    if isinstance(start_indices, value):
        return [start_indices[i] for i in range(rank)]
    return list(start_indices)
