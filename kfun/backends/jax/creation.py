"""Creation, conversion and casts on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kfun import dtypes
from kfun.backends.jax.arrays import convert, named, refuse_lost_bits


def convert_to_tensor(x, dtype=None):
    if isinstance(x, jax.Array):
        return x if dtype is None else cast(x, dtype)
    if dtype is None:
        return convert(x)
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "iu" and dtypes.is_integer(dtypes.name(dtype)):
        return convert(x.astype(dtypes.name(dtype)))
    return jnp.asarray(x, dtypes.name(dtype))


def cast(x, dtype):
    name = dtypes.name(dtype)
    return x if x.dtype == name else lax.convert_element_type(x, name)


def full(shape, fill_value, dtype=None):
    return jnp.full(shape, fill_value, named(dtype))


def arange(start, stop=None, step=1, dtype=None):
    if dtype is None or dtypes.is_integer(dtypes.name(dtype)):
        for end in (start, stop):
            refuse_lost_bits(np.asarray(end) if type(end) is int else end)
    return jnp.arange(start, stop, step, dtype=named(dtype))


RULES = {
    "copy": jnp.copy,
    "convert_to_tensor": convert_to_tensor,
    "convert_to_numpy": np.asarray,
    "cast": cast,
    "shape": lambda x: x.shape,
    "zeros": lambda shape, dtype="float32": jnp.zeros(shape, dtypes.name(dtype)),
    "ones": lambda shape, dtype="float32": jnp.ones(shape, dtypes.name(dtype)),
    "full": full,
    "arange": arange,
    "eye": lambda N, M=None, k=0, dtype="float32": jnp.eye(N, M, k, dtypes.name(dtype)),
    "zeros_like": lambda x, dtype=None: jnp.zeros_like(x, named(dtype)),
    "ones_like": lambda x, dtype=None: jnp.ones_like(x, named(dtype)),
    "full_like": lambda x, fill_value, dtype=None: jnp.full_like(x, fill_value, named(dtype)),
}
