"""Creation, conversion and casts on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.common.promotion import from_python
from kfun.backends.numpy.arrays import FLOATS, cast, native, quiet


def convert_to_tensor(x, dtype=None):
    if dtype is None:
        return from_python(x)
    return cast(np.asarray(x), dtype)


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


RULES = {
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
    "copy": np.copy,
}
