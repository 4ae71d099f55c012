"""Medians, percentiles and quantiles: order statistics, with interpolation between neighbours.

The `nan` forms leave NaN out; the others give NaN where one is among the elements. Results are
floating; half precision is computed in float32.
"""

from __future__ import annotations

import functools
import operator

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._like import scalar_like
from kfun.ops._precision import dtype_of, widened

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@derived
def quantile(x: Array, q: Array, axis=None, method: str = "linear", keepdims: bool = False) -> Array:
    """The value below which the fraction `q` of the elements along `axis` lies.

    Args:
        x: real numbers.
        q: in [0, 1], one number or a 1-d array of Q.
        axis: an int, several, or None for all elements.
        method: where the place `q * (n - 1)` falls between two elements: `"linear"` interpolates,
            `"lower"`, `"higher"` and `"nearest"` (of two alike the lower) take one, `"midpoint"` the mean of both.
        keepdims: whether the reduced axes stay, with size 1.

    Returns:
        The reduced shape, behind an axis of size Q if `q` has one.
    """
    return _ordered("quantile", x, q, 1, axis, method, keepdims, False)


@derived
def percentile(x: Array, q: Array, axis=None, method: str = "linear", keepdims: bool = False) -> Array:
    """`quantile` with `q` in [0, 100]."""
    return _ordered("percentile", x, q, 100, axis, method, keepdims, False)


@derived
def median(x: Array, axis=None, keepdims: bool = False) -> Array:
    """The middle element along `axis`, of an even number the mean of the two in the middle."""
    return _ordered("median", x, 0.5, 1, axis, "midpoint", keepdims, False)


@derived
def nanquantile(x: Array, q: Array, axis=None, method: str = "linear", keepdims: bool = False) -> Array:
    """`quantile` of the elements that are not NaN; NaN where there are none."""
    return _ordered("nanquantile", x, q, 1, axis, method, keepdims, True)


@derived
def nanpercentile(x: Array, q: Array, axis=None, method: str = "linear", keepdims: bool = False) -> Array:
    """`percentile` of the elements that are not NaN; NaN where there are none."""
    return _ordered("nanpercentile", x, q, 100, axis, method, keepdims, True)


@derived
def nanmedian(x: Array, axis=None, keepdims: bool = False) -> Array:
    """`median` of the elements that are not NaN; NaN where there are none."""
    return _ordered("nanmedian", x, 0.5, 1, axis, "midpoint", keepdims, True)


def _ordered(op, x, q, whole, axis, method, keepdims, skips):
    """The quantiles `q / whole`. B: the sizes that stay, n: the number of elements, Q: of quantiles."""
    if method not in _METHODS:
        raise ValueError(f"ops.{op}: expected method {', '.join(_METHODS)}; received {method!r}")
    dtype = dtypes.inexact(dtype_of(x))
    wide = widened(c.cast(x, dtype))
    q = c.cast(e.divide(q, scalar_like(wide, whole, dtype_of(wide))), dtype_of(wide))
    ranks = len(c.shape(q))
    if ranks > 1:
        raise ValueError(f"ops.{op}: expected q as a number or with one axis; received shape {c.shape(q)}")
    rank = len(c.shape(x))
    axes = sorted(a % rank for a in (range(rank) if axis is None else [axis] if isinstance(axis, int) else axis))
    rows = _rows(wide, axes)  # [B..., n]
    missing = e.isnan(rows)
    if skips:
        last = e.subtract(r.sum(e.logical_not(missing), -1, True), 1)  # [B..., 1]
        found = _between(s.sort(e.where(missing, float("inf"), rows)), s.reshape(q, (-1,)), last, method, True)
        nothing = e.less(last, 0)
    else:
        last = c.shape(rows)[-1] - 1
        found = _between(s.sort(rows), s.reshape(q, (-1,)), last, method, False)
        nothing = r.any(missing, -1, True)
    found = c.cast(e.where(nothing, float("nan"), found), dtype)  # [B..., Q]
    found = s.moveaxis(found, -1, 0) if ranks else s.squeeze(found, -1)
    return s.expand_dims(found, [a + ranks for a in axes]) if keepdims and axes else found


def _rows(x, axes):
    """`x` with the axes to reduce made one, the last."""
    sizes = c.shape(x)
    kept = [a for a in range(len(sizes)) if a not in axes]
    moved = s.transpose(x, [*kept, *axes]) if sizes else x
    count = functools.reduce(operator.mul, [sizes[a] for a in axes], 1)
    return s.reshape(moved, (*[sizes[a] for a in kept], count))


def _between(ordered, q, last, method, each):
    """What lies at the places `q * last` of ascending rows; `each` row has its own last place.

    Args:
        ordered: `[B..., n]`.
        q: `[Q]`.
        last: `[B..., 1]` or one number.
    """
    place = e.multiply(q, last)
    place = e.maximum(e.minimum(place, last), 0)
    if method == "nearest":
        return _at(ordered, e.ceil(e.subtract(place, 0.5)), each)
    below, above = e.floor(place), e.ceil(place)
    if method in ("lower", "higher"):
        return _at(ordered, below if method == "lower" else above, each)
    low, high = _at(ordered, below, each), _at(ordered, above, each)
    weight = 0.5 if method == "midpoint" else e.subtract(place, below)
    rest = 0.5 if method == "midpoint" else e.subtract(1, weight)
    mixed = e.add(e.multiply(low, rest), e.multiply(high, weight))
    return e.where(e.equal(low, high), low, mixed)  # equal infinities: 0 * inf is NaN


def _at(ordered, place, each):
    index = c.cast(place, "int32")
    return s.take_along_axis(ordered, index, -1) if each else s.take(ordered, index, -1)
