"""Elementwise arithmetic, conversion and creation in plain NumPy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from scipy import special

from kfun import dtypes
from kfun.backends.common.promotion import from_python, promoting, table

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
    target = native(dtype)
    return x if getattr(x, "dtype", None) == target else np.asarray(x).astype(target)


def _operand(x, dtype):
    """A promoted operand; a Python integer that does not fit its type is an error."""
    return x.astype(dtype) if isinstance(x, np.ndarray) else np.asarray(x, dtype)


def floating(x):
    return x if x.dtype in FLOATS else x.astype(np.float32)


def same_type(*arrays):
    """The arrays in their promoted type."""
    target = arrays[0].dtype
    for x in arrays[1:]:
        target = pair(np.empty(0, target), np.empty(0, x.dtype))[0].dtype
    return [x if x.dtype == target else x.astype(target) for x in arrays]


def convert_to_tensor(x, dtype=None):
    if dtype is None:
        return from_python(x)
    return cast(np.asarray(x), dtype)


def binary(f, pairs=PAIRS):
    """A rule of two operands that `f` takes in one type; the results are arrays, of 0 axes too."""
    return quiet(promoting(lambda x1, x2: np.asarray(f(x1, x2)), pairs, _operand))


def _kept(f):
    """Of functions that keep the type."""
    return quiet(lambda x: np.asarray(f(x)))


def _floating(f):
    return quiet(lambda x: np.asarray(f(floating(x))))


def wide(f):
    """A function of floats, in float32 for half precision, of which SciPy knows nothing."""

    def rule(x):
        x = floating(x)
        return np.asarray(f(x.astype(np.float32) if x.dtype in HALF else x)).astype(x.dtype)

    return quiet(rule)


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


def full(shape, fill_value, dtype=None):
    value = convert_to_tensor(fill_value, dtype)
    return np.full(shape, value, value.dtype)


def arange(start, stop=None, step=1, dtype=None):
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        parts = [from_python(v).dtype for v in (start, stop, step)]
        dtype = "float32" if any(p in FLOATS for p in parts) else "int32"
    return np.arange(start, stop, step).astype(native(dtype))


def _named(dtype):
    return None if dtype is None else native(dtype)


pair = promoting(lambda x1, x2: (x1, x2), PAIRS, _operand)
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
    "convert_to_tensor": convert_to_tensor,
    "convert_to_numpy": np.asarray,
    "cast": quiet(cast),
    "shape": np.shape,
    "zeros": lambda shape, dtype="float32": np.zeros(shape, native(dtype)),
    "ones": lambda shape, dtype="float32": np.ones(shape, native(dtype)),
    "full": full,
    "arange": arange,
    "eye": lambda N, M=None, k=0, dtype="float32": np.eye(N, M, k).astype(native(dtype)),
    "zeros_like": lambda x, dtype=None: np.zeros_like(x, _named(dtype)),
    "ones_like": lambda x, dtype=None: np.ones_like(x, _named(dtype)),
    "full_like": lambda x, fill_value, dtype=None: np.full_like(x, fill_value, _named(dtype)),
}
