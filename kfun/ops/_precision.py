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
