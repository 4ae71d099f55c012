"""Numbers and arrays made from nothing inside derived bodies, of the kind of an array that is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun.ops import creation as c
from kfun.ops import reduction as r
from kfun.ops import shaping as s


def scalar_like(x: Any, value: Any, dtype: str) -> Any:
    """`value` as an array without axes, of the backend of the array `x`, whose elements are not read."""
    none = s.getitem(s.reshape(x, (-1,)), slice(0, 0))
    return c.full_like(r.sum(none), value, dtype)


def full_of(x: Any, shape: Any, value: Any, dtype: str) -> Any:
    """`value` everywhere in an array of a shape, of the backend of the array `x`."""
    return s.broadcast_to(scalar_like(x, value, dtype), shape)


def counted(size: Any) -> Any:
    """`0, 1, ..., size - 1`, int32, of any backend where the size is known."""
    return np.arange(size, dtype="int32") if isinstance(size, int) else c.arange(size, dtype="int32")


def refuse_sparse(op: str, sparse: bool) -> None:
    """Raises ValueError where a sparse result is asked of a body, which gives dense ones."""
    if sparse:
        raise ValueError(
            f"ops.{op}: sparse=True gives a BCOO on JAX and a SparseTensor on TensorFlow; "
            "this backend has dense arrays only: use sparse=False"
        )
