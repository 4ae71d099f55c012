"""Numbers and arrays made from nothing inside derived bodies, of the kind of an array that is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun import dtypes
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


def shaped(x: Any, sizes: Any) -> Any:
    """`reshape` of an array or of a constant, which stays NumPy's, so that arrays of any backend may meet it."""
    return np.reshape(x, sizes) if isinstance(x, np.ndarray) else s.reshape(x, sizes)


def beside(x: Any, value: Any) -> Any:
    """`value`, as an array of the backend of `x` if it is a Python number."""
    kind = dtypes.weak(value)
    return value if kind is None else scalar_like(x, value, dtypes.settle(kind))


def refuse_sparse(op: str, sparse: bool) -> None:
    """Raises ValueError where a sparse result is asked of a body, which gives dense ones."""
    if sparse:
        raise ValueError(
            f"ops.{op}: sparse=True gives a BCOO on JAX and a SparseTensor on TensorFlow; "
            "this backend has dense arrays only: use sparse=False"
        )
