"""Elementwise arithmetic on NumPy."""

from __future__ import annotations

import numpy as np
from scipy import special

from kfun.backends.numpy.arrays import FLOATING, FLOATS, binary, cast, floating, pair, quiet, wide


def _kept(f):
    """Of functions that keep the type."""
    return quiet(lambda x: np.asarray(f(x)))


def _floating(f):
    return quiet(lambda x: np.asarray(f(floating(x))))


def _whole(f):
    """Of rounding functions, which leave integers as they are."""
    return quiet(lambda x: np.asarray(f(x)) if x.dtype in FLOATS else x)


def _truth(f):
    return lambda x: np.asarray(f(floating(x)))


def round_(x, decimals=0):
    return np.asarray(np.round(x, decimals)) if x.dtype in FLOATS or decimals < 0 else x


def where(condition, x1, x2):
    return np.where(cast(condition, "bool"), *pair(x1, x2))


def abs_(x):
    return x if x.dtype == bool else np.asarray(np.abs(x))


def rsqrt(x):
    return (1 / np.sqrt(x)).astype(x.dtype)


_BINARY = (
    "add subtract multiply floor_divide mod power maximum minimum equal not_equal less less_equal greater "
    "greater_equal logical_and logical_or"
)
_MATH = "exp expm1 log log1p sqrt sin cos tanh"

RULES = {
    **{name: binary(getattr(np, name)) for name in _BINARY.split(" ")},
    "divide": binary(np.true_divide, FLOATING),
    "arctan2": binary(np.arctan2, FLOATING),
    "logaddexp": binary(np.logaddexp, FLOATING),
    "where": where,
    **{name: _floating(getattr(np, name)) for name in _MATH.split(" ")},
    "rsqrt": _floating(rsqrt),
    "erf": wide(special.erf),
    "erfinv": wide(special.erfinv),
    **{name: _kept(getattr(np, name)) for name in ("negative", "sign", "logical_not")},
    **{name: _whole(getattr(np, name)) for name in ("floor", "ceil")},
    **{name: _truth(getattr(np, name)) for name in ("isnan", "isinf", "isfinite")},
    "round": quiet(round_),
    "abs": quiet(abs_),
    **{name: binary(getattr(np, name)) for name in ("fmod", "fmax", "fmin")},
}
