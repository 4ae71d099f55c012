"""Reductions on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.common.axes import settled
from kfun.backends.numpy.arrays import HALF, NATIVE, cast, floating, native, quiet


def cumprod(x, axis=None, dtype=None):
    out = x.dtype if dtype is None else native(dtype)
    out = np.dtype(np.int32) if out.kind == "b" else out
    return np.cumprod(x, axis, np.float32 if out in HALF else out).astype(out)


def _summed_type(dtype):
    """Sums of small integers are of 32 bits, of the same sign."""
    if dtype.kind in "bi" and dtype.itemsize < 4:
        return NATIVE["int32"]
    return NATIVE["uint32"] if dtype.kind == "u" and dtype.itemsize < 4 else dtype


def _accumulated(f):
    """Of sums and products: half precision accumulates in float32."""

    def rule(x, axis=None, keepdims=False):
        out = _summed_type(x.dtype)
        wide = np.dtype(np.float32) if out in HALF else out
        return np.asarray(f(x, axis=settled(axis), keepdims=keepdims, dtype=wide)).astype(out)

    return quiet(rule)


def _averaged(f):
    def rule(x, axis=None, keepdims=False):
        x = floating(x)
        wide = x.astype(np.float32) if x.dtype in HALF else x
        return np.asarray(f(wide, axis=settled(axis), keepdims=keepdims)).astype(x.dtype)

    return quiet(rule)


def _reduction(f):
    return lambda x, axis=None, keepdims=False: np.asarray(f(x, axis=settled(axis), keepdims=keepdims))


def _index_of(f):
    return lambda x, axis=None, keepdims=False: np.asarray(f(x, axis=axis, keepdims=keepdims)).astype(np.int32)


def cumsum(x, axis=None, dtype=None):
    out = x.dtype if dtype is None else native(dtype)
    out = NATIVE["int32"] if out.kind == "b" else out
    return np.cumsum(x, axis, np.float32 if out in HALF else out).astype(out)


RULES = {
    "cumprod": quiet(cumprod),
    "sum": _accumulated(np.sum),
    "prod": _accumulated(np.prod),
    "mean": _averaged(np.mean),
    "var": _averaged(np.var),
    "std": _averaged(np.std),
    "max": _reduction(np.max),
    "min": _reduction(np.min),
    "any": lambda x, axis=None, keepdims=False: np.asarray(np.any(cast(x, bool), settled(axis), keepdims=keepdims)),
    "all": lambda x, axis=None, keepdims=False: np.asarray(np.all(cast(x, bool), settled(axis), keepdims=keepdims)),
    "argmax": _index_of(np.argmax),
    "argmin": _index_of(np.argmin),
    "cumsum": cumsum,
}
