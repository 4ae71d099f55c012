"""Arrays put together and taken apart in other ways: stacks, parts, diagonals, grids, patterns of axes."""

from __future__ import annotations

import functools
import itertools
import operator
import re

import numpy as np

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Arrays, DType, derived


@derived
def append(x1: Array, x2: Array, axis=None) -> Array:
    """`x2` after `x1` along `axis`; of both flat if None."""
    if axis is None:
        return s.concatenate([s.ravel(x1), s.ravel(x2)], 0)
    return s.concatenate([x1, x2], axis)


@derived
def hstack(xs: Arrays) -> Array:
    """Joins arrays along axis 1, or along axis 0 if they have one."""
    parts = [_with_axes(x, 1, ()) for x in xs]
    return s.concatenate(parts, 0 if len(c.shape(parts[0])) == 1 else 1)


@derived
def vstack(xs: Arrays) -> Array:
    """Joins arrays along axis 0, those of one axis as rows."""
    return s.concatenate([_with_axes(x, 2, (0,)) for x in xs], 0)


@derived
def dstack(xs: Arrays) -> Array:
    """Joins arrays along axis 2, those of fewer axes as of depth 1."""
    return s.concatenate([_with_axes(x, 3, (0, 2)) for x in xs], 2)


def _with_axes(x, rank: int, around: tuple[int, ...]):
    """`x` with `rank` axes at least; one axis alone gets new ones at `around`."""
    found = len(c.shape(x))
    if found == 0:
        return s.reshape(x, (1,) * rank)
    if found == 1:
        return s.expand_dims(x, around) if around else x
    return s.expand_dims(x, -1) if found < rank else x


@derived
def array_split(x: Array, indices_or_sections, axis=0):
    """Parts of `x` along `axis` like `split`, but a number of parts need not divide the size.

    Args:
        indices_or_sections: where to cut, or the number of parts, of which the first ones are larger by 1.
    """
    if not isinstance(indices_or_sections, int):
        return s.split(x, indices_or_sections, axis)
    if indices_or_sections < 1:
        raise ValueError(f"ops.array_split: expected at least 1 part; received {indices_or_sections}")
    size = c.shape(x)[axis]
    each, more = size // indices_or_sections, size % indices_or_sections
    return s.split(x, [i * each + min(i, more) for i in range(1, indices_or_sections)], axis)


@derived
def vsplit(x: Array, indices_or_sections):
    """Parts of `x` along axis 0."""
    return s.split(x, indices_or_sections, 0)


@derived
def hsplit(x: Array, indices_or_sections):
    """Parts of `x` along axis 1, or along axis 0 if it has one."""
    return s.split(x, indices_or_sections, 0 if len(c.shape(x)) == 1 else 1)


@derived
def dsplit(x: Array, indices_or_sections):
    """Parts of `x` along axis 2."""
    return s.split(x, indices_or_sections, 2)


@derived
def flipud(x: Array) -> Array:
    """Reverses axis 0."""
    return s.flip(x, 0)


@derived
def fliplr(x: Array) -> Array:
    """Reverses axis 1."""
    return s.flip(x, 1)


@derived
def rot90(array: Array, k: int = 1, axes=(0, 1)) -> Array:
    """Turns the plane of two axes by `k` quarters, from the first axis towards the second.

    Raises:
        ValueError: if `axes` are not two different ones.
    """
    first, second = axes
    rank = len(c.shape(array))
    if (first - second) % rank == 0:
        raise ValueError(f"ops.rot90: expected two different axes of {rank}; received {tuple(axes)}")
    if k % 2 == 0:
        return array if k % 4 == 0 else s.flip(array, (first, second))
    turned = s.swapaxes(array, first, second)
    return s.flip(turned, first if k % 4 == 1 else second)


@derived
def diag(x: Array, k: int = 0) -> Array:
    """The matrix with `x` of one axis on its `k`-th diagonal, or the `k`-th diagonal of a matrix.

    Raises:
        ValueError: if `x` has neither one axis nor two.
    """
    shape = c.shape(x)
    if len(shape) == 2:
        return diagonal(x, k)
    if len(shape) != 1:
        raise ValueError(f"ops.diag: expected 1 or 2 axes; received shape {shape}")
    n = shape[0] + abs(k)
    place = np.eye(n, n, k, "bool") if isinstance(n, int) else c.eye(n, n, k, "bool")
    columns = s.pad(x, ((max(k, 0), max(-k, 0)),))
    return e.where(place, columns, c.zeros_like(columns))


@derived
def diagflat(x: Array, k: int = 0) -> Array:
    """The matrix with the flat `x` on its `k`-th diagonal."""
    return diag(s.ravel(x), k)


@derived
def diagonal(x: Array, offset: int = 0, axis1=0, axis2=1) -> Array:
    """The `offset`-th diagonal of each matrix of two axes; it becomes the last axis.

    Sizes that are known only at run time must leave a diagonal there.
    """
    x = s.moveaxis(x, (axis1, axis2), (-2, -1))
    *batch, rows, columns = c.shape(x)
    flat = s.reshape(x, (*batch, rows * columns))
    # From one element to the next it is a row and a column; the row below the last column ends it.
    start, stop = offset if offset >= 0 else -offset * columns, (columns - offset) * columns
    return s.getitem(flat, (..., slice(start, max(stop, 0) if isinstance(stop, int) else stop, columns + 1)))


@derived
def trace(x: Array, offset: int = 0, axis1=0, axis2=1) -> Array:
    """Sum of the `offset`-th diagonal of each matrix of two axes."""
    return r.sum(diagonal(x, offset, axis1, axis2), -1)


@derived
def tri(N, M=None, k: int = 0, dtype: DType = None) -> Array:
    """Ones on and below the `k`-th diagonal of an `(N, M)` matrix, zeros above; float32 by default."""
    return s.tril(c.ones((N, N if M is None else M), dtype or "float32"), k)


@derived
def vander(x: Array, N=None, increasing: bool = False) -> Array:
    """The powers of each element of `x` (one axis) in a row: `N` columns, as many as elements by default.

    Args:
        increasing: whether the powers rise from 0 from left to right; else they fall to it.

    Raises:
        ValueError: if `x` does not have one axis.
    """
    if len(c.shape(x)) != 1:
        raise ValueError(f"ops.vander: expected one axis; received shape {c.shape(x)}")
    count = c.shape(x)[0] if N is None else N
    x = c.cast(x, "int32") if dtypes.name(x.dtype) == "bool" else x
    column, dtype = s.expand_dims(x, 1), dtypes.name(x.dtype)
    known = isinstance(count, int)
    exponents = np.arange(1, max(count, 1)).astype(np.dtype(dtype)) if known else c.arange(1, count, 1, dtype)
    powers = s.concatenate([c.ones_like(column), e.power(column, exponents)], 1)
    powers = s.getitem(powers, (slice(None), slice(0, 0))) if known and count == 0 else powers
    return powers if increasing else s.flip(powers, 1)


@derived(name="meshgrid")
def _meshgrid(x: Arrays, indexing: str = "xy") -> list:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"ops.meshgrid: expected indexing 'xy' or 'ij'; received {indexing!r}")
    order = list(range(len(x)))
    if indexing == "xy" and len(x) > 1:
        order[:2] = 1, 0
    flat = [s.ravel(line) for line in x]
    sizes = [c.shape(flat[i])[0] for i in order]
    along = [[sizes[a] if order[a] == i else 1 for a in range(len(x))] for i in range(len(x))]
    return [s.broadcast_to(s.reshape(line, shape), sizes) for line, shape in zip(flat, along, strict=True)]


def meshgrid(*x, indexing: str = "xy") -> list:
    """The coordinates of each point of a grid, one array for each axis.

    Args:
        x: the coordinates along each axis, of one axis each.
        indexing: `"xy"`: the first two axes of the results change places; `"ij"`: they do not.

    Returns:
        An array for each given one, all of the grid's shape.
    """
    return _meshgrid(x, indexing)


def rearrange(tensor, pattern: str, **axes_lengths):
    """Splits, reorders and merges axes by a pattern, as einops does (Rogozhnikov 2022, ICLR).

    Args:
        tensor: an array.
        pattern: names of axes before and after, as `"b (h p) c -> b h (p c)"`: axes in parentheses
            are one axis; `...` stands for all others; `1` or `()` for an axis of size 1.
        axes_lengths: sizes of axes that are split; one in each pair of parentheses may be left out.

    Raises:
        ValueError: if the pattern is not well formed, or does not fit the shape or the sizes.

    Example:
        >>> import numpy as np
        >>> from kfun import ops
        >>> ops.rearrange(np.zeros((2, 6, 3)), "b (h p) c -> b h (p c)", p=2).shape
        (2, 3, 6)
    """
    shape = c.shape(tensor)
    left, right = _axes(pattern, len(shape))
    unknown = axes_lengths.keys() - set(itertools.chain(*left))
    if unknown:
        raise ValueError(f"ops.rearrange: {pattern!r} has no axes named {', '.join(sorted(unknown))} on its left")
    sizes = dict(axes_lengths)
    for group, size in zip(left, shape, strict=True):
        _solve(pattern, group, size, sizes)
    before, after = list(itertools.chain(*left)), list(itertools.chain(*right))
    if any(len(group) != 1 for group in left):
        tensor = s.reshape(tensor, tuple(sizes[name] for name in before))
    if before != after:
        tensor = s.transpose(tensor, tuple(before.index(name) for name in after))
    if any(len(group) != 1 for group in right):
        tensor = s.reshape(tensor, tuple(_product(sizes[name] for name in group) for group in right))
    return tensor


def _product(sizes):
    return functools.reduce(operator.mul, sizes, 1)


def _solve(pattern: str, group: tuple[str, ...], size, sizes: dict) -> None:
    """Works out the one size of a group that was not given, or checks those that were."""
    missing = [name for name in group if name not in sizes]
    if len(missing) > 1:
        raise ValueError(f"ops.rearrange: {pattern!r}: give the sizes of all but one of {', '.join(missing)}")
    given = _product(sizes[name] for name in group if name in sizes)
    known = isinstance(size, int) and isinstance(given, int)
    if known and ((size % given if given else size) if missing else size != given):
        raise ValueError(f"ops.rearrange: {pattern!r}: an axis of size {size} does not divide into {group}: {sizes}")
    if missing:
        single = isinstance(given, int) and given in (0, 1)
        sizes[missing[0]] = size if single else size // given


@functools.lru_cache(maxsize=512)
def _axes(pattern: str, rank: int) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The names in each axis before and after; `...` is spelled out."""
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"ops.rearrange: expected a pattern 'before -> after'; received {pattern!r}")
    left, right = (_groups(pattern, side) for side in sides)
    others = rank - len(left) + 1 if ("...",) in left else 0
    if others < 0 or (("...",) not in left and len(left) != rank):
        raise ValueError(f"ops.rearrange: {pattern!r} names {len(left)} axes; received an array with {rank}")
    names = [f"...{i}" for i in range(others)]
    left = [g for group in left for g in ([(n,) for n in names] if group == ("...",) else [group])]
    right = [g for group in right for g in ([(n,) for n in names] if group == ("...",) else [group])]
    right = [tuple(n for name in group for n in (names if name == "..." else [name])) for group in right]
    flat = [list(itertools.chain(*side)) for side in (left, right)]
    if len(set(flat[0])) != len(flat[0]) or sorted(flat[0]) != sorted(flat[1]):
        raise ValueError(f"ops.rearrange: expected each axis once on both sides; received {pattern!r}")
    return left, right


def _groups(pattern: str, side: str) -> list[tuple[str, ...]]:
    groups: list[tuple[str, ...]] = []
    inside: list[str] | None = None
    for token in re.findall(r"\.\.\.|[A-Za-z_]\w*|\S", side):
        if token == "(" and inside is None:
            inside = []
        elif token == ")" and inside is not None:
            groups.append(tuple(inside))
            inside = None
        elif token == "1":
            groups += [()] if inside is None else []
        elif token == "..." or token.isidentifier():
            if inside is None:
                groups.append((token,))
            else:
                inside.append(token)
        else:
            raise ValueError(f"ops.rearrange: unexpected {token!r} in {pattern!r}")
    if inside is not None:
        raise ValueError(f"ops.rearrange: a parenthesis of {pattern!r} is not closed")
    return groups
