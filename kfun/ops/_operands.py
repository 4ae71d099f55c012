"""Operands of derived ops: Python numbers as arrays, integers as floats, the range of a type."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun import dtypes
from kfun.ops.creation import cast, full_like

_LARGEST = {
    "float8_e4m3fn": 448.0,
    "float8_e5m2": 57344.0,
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": 3.4028234663852886e38,
    "float64": 1.7976931348623157e308,
}


def floating(x: Any) -> Any:
    """An array, integers and bools as the float that functions without integer results give."""
    return cast(x, dtypes.inexact(dtypes.name(x.dtype)))


def arrays(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Both operands as arrays of one kind: of two, one may be a weakly typed Python number."""
    if dtypes.weak(x1) and not dtypes.weak(x2):
        return _beside(x1, x2), x2
    if dtypes.weak(x2) and not dtypes.weak(x1):
        return x1, _beside(x2, x1)
    return x1, x2


def _beside(number: Any, x: Any) -> Any:
    return full_like(x, number, dtypes.settle(dtypes.promote(dtypes.weak(number) or "int", dtypes.name(x.dtype))))


def limits(dtype: str) -> tuple[Any, Any]:
    """The least and the largest finite number of a type."""
    if dtype in _LARGEST:
        return -_LARGEST[dtype], _LARGEST[dtype]
    if dtype == "bool":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
