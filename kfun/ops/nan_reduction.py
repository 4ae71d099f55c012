"""Reductions that leave NaN out. Integers and bools have none: theirs are the plain reductions.

Quantiles without NaN are in `quantile`.
"""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops._dispatch import Array, DType, derived
from kfun.ops._precision import dtype_of, widened


@derived
def nansum(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Sum over `axis` of what is not NaN; 0 if nothing is."""
    return r.sum(_filled(x, 0), axis, keepdims)


@derived
def nanprod(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Product over `axis` of what is not NaN; 1 if nothing is."""
    return r.prod(_filled(x, 1), axis, keepdims)


@derived
def nanmax(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Maximum over `axis` of what is not NaN; NaN if nothing is."""
    return _extreme(r.max, "-inf", x, axis, keepdims)


@derived
def nanmin(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Minimum over `axis` of what is not NaN; NaN if nothing is."""
    return _extreme(r.min, "inf", x, axis, keepdims)


@derived
def nanargmax(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Index of the first maximum of what is not NaN along `axis`, int32; -1 if nothing is."""
    return _index(r.argmax, "-inf", x, axis, keepdims)


@derived
def nanargmin(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Index of the first minimum of what is not NaN along `axis`, int32; -1 if nothing is."""
    return _index(r.argmin, "inf", x, axis, keepdims)


@derived
def nanmean(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Mean over `axis` of what is not NaN; NaN if nothing is."""
    if not _may_hold_nan(x):
        return r.mean(x, axis, keepdims)
    wide = widened(x)
    total = r.sum(_filled(wide, 0), axis, keepdims)
    return c.cast(e.divide(total, _count(wide, axis, keepdims)), dtype_of(x))


@derived
def nanvar(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Population variance over `axis` of what is not NaN, in two passes; NaN if nothing is."""
    if not _may_hold_nan(x):
        return r.var(x, axis, keepdims)
    wide = widened(x)
    centred = e.where(e.isnan(wide), 0, e.subtract(wide, nanmean(wide, axis, True)))
    total = r.sum(e.multiply(centred, centred), axis, keepdims)
    return c.cast(e.divide(total, _count(wide, axis, keepdims)), dtype_of(x))


@derived
def nanstd(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Population standard deviation over `axis` of what is not NaN; NaN if nothing is."""
    return c.cast(e.sqrt(nanvar(widened(x), axis, keepdims)), dtypes.inexact(dtype_of(x)))


@derived
def nancumsum(x: Array, axis=None, dtype: DType = None) -> Array:
    """Running sum along `axis` (of the flat array if None), NaN taken as 0."""
    return r.cumsum(_filled(x, 0), axis, dtype)


@derived
def nancumprod(x: Array, axis=None, dtype: DType = None) -> Array:
    """Running product along `axis` (of the flat array if None), NaN taken as 1."""
    return r.cumprod(_filled(x, 1), axis, dtype)


def _may_hold_nan(x) -> bool:
    return not (dtypes.is_integer(dtype_of(x)) or dtype_of(x) == "bool")


def _filled(x, value):
    return e.where(e.isnan(x), value, x) if _may_hold_nan(x) else x


def _count(x, axis, keepdims):
    """How many elements are not NaN, in the type of `x`."""
    return c.cast(r.sum(e.logical_not(e.isnan(x)), axis, keepdims), dtype_of(x))


def _extreme(extreme, beyond, x, axis, keepdims):
    if not _may_hold_nan(x):
        return extreme(x, axis, keepdims)
    missing = e.isnan(x)
    found = extreme(e.where(missing, float(beyond), x), axis, keepdims)
    return e.where(r.all(missing, axis, keepdims), float("nan"), found)


def _index(index_of, beyond, x, axis, keepdims):
    if not _may_hold_nan(x):
        return index_of(x, axis, keepdims)
    missing = e.isnan(x)
    found = index_of(e.where(missing, float(beyond), x), axis, keepdims)
    return e.where(r.all(missing, axis, keepdims), -1, found)
