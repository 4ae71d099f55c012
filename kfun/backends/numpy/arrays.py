"""Dtypes and promotion of NumPy arrays, and what half precision and floating-point errors ask of a rule."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from kfun import dtypes
from kfun.backends.common.promotion import promoting, table

_EXTENDED = ("bfloat16", *dtypes.FLOAT8)
NATIVE = {
    name: np.dtype(getattr(ml_dtypes, name) if name in _EXTENDED else name) for name in dtypes.ALL if name != "string"
}
PAIRS, FLOATING = table(NATIVE), table(NATIVE, floating=True)
HALF = (NATIVE["float16"], NATIVE["bfloat16"])
FLOATS = {NATIVE[name] for name in (*dtypes.FLOATS, *dtypes.COMPLEX)}


def native(dtype):
    """The NumPy dtype of any spelling of a dtype."""
    name = dtypes.name(dtype)
    return np.dtype(str) if name == "string" else NATIVE[name]


def quiet(f):
    """NaN and infinity are answers here as on the other backends, not warnings."""
    return np.errstate(all="ignore")(f)


def cast(x, dtype):
    """`x`, an array or a Python scalar, in another type."""
    target = native(dtype)
    return x if getattr(x, "dtype", None) == target else np.asarray(x).astype(target)


def _operand(x, dtype):
    """A promoted operand; a Python integer that does not fit its type is an error."""
    return x.astype(dtype) if isinstance(x, np.ndarray) else np.asarray(x, dtype)


def floating(x):
    """`x` if it is inexact already, else in float32."""
    return x if x.dtype in FLOATS else x.astype(np.float32)


pair = promoting(lambda x1, x2: (x1, x2), PAIRS, _operand)


def same_type(*arrays):
    """The arrays in their promoted type."""
    target = arrays[0].dtype
    for x in arrays[1:]:
        target = pair(np.empty(0, target), np.empty(0, x.dtype))[0].dtype
    return [x if x.dtype == target else x.astype(target) for x in arrays]


def binary(f, pairs=PAIRS):
    """A rule of two operands that `f` takes in one type; the results are arrays, of 0 axes too."""
    return quiet(promoting(lambda x1, x2: np.asarray(f(x1, x2)), pairs, _operand))


def wide(f):
    """A function of floats, in float32 for half precision, of which SciPy knows nothing."""

    def rule(x):
        x = floating(x)
        return np.asarray(f(x.astype(np.float32) if x.dtype in HALF else x)).astype(x.dtype)

    return quiet(rule)
