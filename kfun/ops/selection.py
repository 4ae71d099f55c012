"""Comparison within tolerances, membership, and selection by value: unique, nonzero, partitions."""

from __future__ import annotations

import functools
import operator

from kfun import dtypes
from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Arrays, Scalar, derived, primitive
from kfun.ops._like import counted, shaped
from kfun.ops._operands import arrays
from kfun.ops._precision import dtype_of


@derived
def isclose(x1: Array, x2: Array, rtol: Scalar = 1e-5, atol: Scalar = 1e-8, equal_nan: bool = False) -> Array:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`; infinities are close to themselves.

    Args:
        x1: numbers, broadcast against `x2`.
        x2: numbers.
        rtol: relative tolerance.
        atol: absolute tolerance.
        equal_nan: whether NaN is close to NaN.
    """
    x1, x2 = arrays(x1, x2)
    dtype = dtypes.inexact(dtype_of(x1), dtype_of(x2))
    x1, x2 = c.cast(x1, dtype), c.cast(x2, dtype)
    near = e.less_equal(e.abs(e.subtract(x1, x2)), e.add(atol, e.multiply(rtol, e.abs(x2))))
    close = e.logical_or(e.equal(x1, x2), e.logical_and(near, e.isfinite(x2)))
    return e.logical_or(close, e.logical_and(e.isnan(x1), e.isnan(x2))) if equal_nan else close


@derived
def allclose(x1: Array, x2: Array, rtol: Scalar = 1e-5, atol: Scalar = 1e-8, equal_nan: bool = False) -> Array:
    """Whether all elements are close, as `isclose`: a bool without axes."""
    return r.all(isclose(x1, x2, rtol, atol, equal_nan))


@derived
def isin(x1: Array, x2: Array, assume_unique: bool = False, invert: bool = False) -> Array:
    """Whether each element of `x1` is among those of `x2`; NaN is not.

    Args:
        x1: of any shape.
        x2: of any shape.
        assume_unique: promises that neither holds an element twice; the bodies here, which search a
            sorted `x2`, gain nothing from it.
        invert: whether to tell which are not.
    """
    x1, x2 = arrays(x1, x2)
    dtype = dtypes.promote(dtype_of(x1), dtype_of(x2))
    dtype = "int32" if dtype == "bool" else dtype
    x1, x2 = c.cast(x1, dtype), c.cast(s.ravel(x2), dtype)
    ordered = s.sort(e.where(e.isnan(x2), float("inf"), x2) if dtypes.is_float(dtype) else x2)
    found = e.greater(s.searchsorted(ordered, x1, "right"), s.searchsorted(ordered, x1, "left"))
    if dtypes.is_float(dtype):  # infinities that stand for NaN are none
        infinite = e.logical_and(e.equal(x1, float("inf")), e.logical_not(r.any(e.equal(x2, float("inf")))))
        found = e.logical_and(found, e.logical_not(e.logical_or(infinite, e.isnan(x1))))
    return e.logical_not(found) if invert else found


@derived
def in_top_k(targets: Array, predictions: Array, k: int) -> Array:
    """Whether fewer than `k` predictions are above that of the target.

    Args:
        targets: `[...]`, integers below C.
        predictions: `[..., C]`; NaN of a target counts as minus infinity.
        k: how many places count.

    Returns:
        `[...]`, bool.
    """
    chosen = s.take_along_axis(predictions, s.expand_dims(targets, -1), -1)
    chosen = e.where(e.isnan(chosen), float("-inf"), chosen)
    return e.less(r.sum(e.greater(predictions, chosen), -1), k)


@derived
def argpartition(x: Array, kth: int, axis=-1) -> Array:
    """Indices that put the `kth` element along `axis` where sorting would, the smaller before it, int32.

    A whole stable sort, which is one of the orders that are right.

    Raises:
        ValueError: if `kth` is out of range.
    """
    x, axis = (s.ravel(x), 0) if axis is None else (x, axis)
    size = c.shape(x)[axis]
    if isinstance(size, int) and not -size <= kth < size:
        raise ValueError(f"ops.argpartition: expected kth in [{-size}, {size}); received {kth}")
    return s.argsort(x, axis)


@primitive
def nonzero(x: Array):
    """Where elements differ from 0: one array of int32 indices per axis, row-major.

    The size of the result depends on the numbers: JAX cannot trace it; `ops.where` with three
    arguments can be.
    """


@derived
def select(condlist: Arrays, choicelist: Arrays, default: Array = 0) -> Array:
    """Elementwise the first choice whose condition holds.

    Args:
        condlist: bool arrays.
        choicelist: one array per condition; all broadcast and promote to one type.
        default: where no condition holds.

    Raises:
        ValueError: if the lists are empty or of different lengths.
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(
            f"ops.select: expected as many choices as conditions, at least one; received {len(condlist)} conditions "
            f"and {len(choicelist)} choices"
        )
    out = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        out = e.where(condition, choice, out)
    return out


@derived
def unravel_index(indices: Array, shape) -> tuple:
    """The indices along each axis of places in a flat array of a shape.

    Args:
        indices: integers; negative ones count from the end, those out of range are moved inside.
        shape: of the array.

    Returns:
        One array per axis, of the shape and type of `indices`.
    """
    dtype = dtype_of(indices)
    wide = dtype if dtype in ("int64", "uint32", "uint64") else "int32"
    total = functools.reduce(operator.mul, shape, 1)
    rest = c.cast(indices, wide)
    if not wide.startswith("u"):
        rest = e.where(e.less(rest, 0), e.add(rest, total), rest)
    rest = e.maximum(e.minimum(rest, total - 1), 0)
    found = []
    for size in reversed(shape):
        found.append(c.cast(e.mod(rest, size), dtype))
        rest = e.floor_divide(rest, size)
    return tuple(reversed(found))


@derived
def extract_sequences(x: Array, sequence_length: int, sequence_stride: int) -> Array:
    """Windows of the last axis.

    Args:
        x: `[..., T]`.
        sequence_length: L, the size of a window.
        sequence_stride: how far each begins behind the one before.

    Returns:
        `[..., 1 + (T - L) // stride, L]`.
    """
    room = c.shape(x)[-1] - sequence_length
    count = max(room // sequence_stride + 1, 0) if isinstance(room, int) else room // sequence_stride + 1
    starts = shaped(counted(count) * sequence_stride, (-1, 1))
    return s.take(x, starts + counted(sequence_length), -1)


@derived
def unique(
    x: Array,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis=None,
    size=None,
    fill_value: Scalar = None,
):
    """The elements of `x` (or its slices along `axis`), each once. Every NaN is one of its own.

    Args:
        x: real.
        sorted: whether they must ascend; here they always do.
        return_index: whether to tell where each occurs first.
        return_inverse: whether to tell which of them each element is.
        return_counts: whether to tell how often each occurs.
        axis: an int, or None for the flat array.
        size: how many to give: the first so many, or filled up. None gives all, a number that
            depends on the data, so that JAX cannot trace it.
        fill_value: what `size` is filled up with, the least element by default.

    Returns:
        The elements `[U]` (slices: U along `axis`), or a tuple of them and what was asked for:
        indices `[U]`, the inverse (`x.shape`; `[n]` with an axis), counts `[U]` (0 for what is
        filled up), all int32.
    """
    rows = s.ravel(x) if axis is None else s.moveaxis(x, axis, 0)  # [n, ...]
    order, new = _grouped(rows, axis is None)
    group = e.subtract(r.cumsum(c.cast(new, "int32")), 1)  # [n], which unique element each in order is
    if size is None:
        wanted = s.take(group, nonzero(new)[0], 0)
    else:  # the first group is 0; with it both sides of the search are batched under Torch's vmap, which warns else
        wanted = e.add(counted(size), s.getitem(group, slice(0, 1)))
    starts, ends = s.searchsorted(group, wanted, "left"), s.searchsorted(group, wanted, "right")
    missing = e.equal(starts, ends)
    index = s.take(order, e.where(missing, 0, starts), 0)
    values = s.take(rows, index, 0)  # [U, ...]
    if size is not None and fill_value is not None:
        missing_rows = s.reshape(missing, (-1, *[1] * (len(c.shape(rows)) - 1)))
        values = c.cast(e.where(missing_rows, fill_value, values), dtype_of(x))
    inverse = s.take(group, s.argsort(order), 0)
    inverse = s.reshape(inverse, c.shape(x)) if axis is None else inverse
    found = [values if axis is None else s.moveaxis(values, 0, axis)]
    asked = ((return_index, index), (return_inverse, inverse), (return_counts, e.subtract(ends, starts)))
    found += [extra for wish, extra in asked if wish]
    return found[0] if len(found) == 1 else tuple(found)


def _grouped(rows, flat):
    """The order that sorts the rows, and in it whether each differs from the one before; both `[n]`.

    Rows of several elements are sorted by the last element first, each order stable.
    """
    if flat:
        order = s.argsort(rows)
        ordered = s.take(rows, order, 0)
        return order, _differs(ordered)
    columns = s.flip(s.transpose(s.reshape(rows, (c.shape(rows)[0], -1))), 0)  # [m, n], the last element first
    start = s.argsort(c.zeros_like(s.getitem(columns, 0), "int32"))

    def refine(order, column):
        return s.take(order, s.argsort(s.take(column, order, 0)), 0), r.sum(column)

    order, _ = control.scan(refine, start, columns)
    return order, r.any(_differs(s.take(columns, order, 1), 1), 0)


def _differs(ordered, axis=0):
    """Whether each differs from the one before along an axis; the first one does."""
    whole = (slice(None),) * axis
    first, before, after = (s.getitem(ordered, (*whole, part)) for part in (_FIRST, slice(None, -1), slice(1, None)))
    return s.concatenate([c.ones_like(first, "bool"), e.not_equal(after, before)], axis)


_FIRST = slice(0, 1)
