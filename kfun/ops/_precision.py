"""Half precision is computed in float32."""

from __future__ import annotations

from typing import Any

from kfun import dtypes
from kfun.ops import creation as c


def dtype_of(x: Any) -> str:
    """The canonical name of an array's dtype."""
    return dtypes.name(x.dtype)


def widened(x: Any) -> Any:
    """float16 and bfloat16 arrays as float32, others as they are."""
    return c.cast(x, "float32") if dtype_of(x) in ("float16", "bfloat16") else x


_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
_EPSILON |= {"complex64": _EPSILON["float32"], "complex128": _EPSILON["float64"]}


def epsilon(dtype: str) -> float:
    """The distance from 1 to the next number of a floating type."""
    return _EPSILON[dtype]


def narrowed(y: Any, x: Any) -> Any:
    """`y`, computed from `widened(x)`, in the half precision of `x`; as it is if `x` had none."""
    return c.cast(y, dtype_of(x)) if dtype_of(x) in ("float16", "bfloat16") else y
