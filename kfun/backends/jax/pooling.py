"""Pooling on JAX: on a CPU by strided slices, whose gradient is far cheaper than XLA's windows'."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kfun.backends.common.windows import each, same_padding

_HALF = (jnp.bfloat16, jnp.float16)
_SLICES = 16  # a wider window is XLA's to pool: a program of so many slices compiles for seconds


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    low = -jnp.inf if jnp.issubdtype(inputs.dtype, jnp.floating) else jnp.iinfo(inputs.dtype).min
    low = np.array(low, inputs.dtype)
    return _pool(inputs, pool_size, strides, padding, data_format, low, lax.max, _larger)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    kept = inputs.dtype
    if kept in _HALF:
        inputs = inputs.astype(jnp.float32)
    zero = np.zeros((), inputs.dtype)
    total = _pool(inputs, pool_size, strides, padding, data_format, zero, lax.add, lax.add)
    if padding == "valid":
        return (total / np.prod(each(pool_size, inputs.ndim - 2))).astype(kept)
    ones = jnp.ones((1, *inputs.shape[1:]), inputs.dtype)
    return (total / _pool(ones, pool_size, strides, padding, data_format, zero, lax.add, lax.add)).astype(kept)


@jax.custom_jvp
def _larger(best, x):
    """The maximum whose gradient goes to `best` alone in a tie, as Keras's does; a NaN stays.

    `lax.max` by itself would share the gradient among equals, which ReLU makes common.
    """
    return lax.max(best, x)


@_larger.defjvp
def _larger_jvp(primals, tangents):
    best, x = primals
    new = (x > best) | (x != x)
    return jnp.where(new, x, best), jnp.where(new, tangents[1], tangents[0])


def _pool(x, pool_size, strides, padding, data_format, start, reduce, combine):
    n = x.ndim - 2
    pool = each(pool_size, n)
    step = each(pool_size if strides is None else strides, n)
    first = 2 if data_format == "channels_first" else 1
    sliced = max(pool) <= _SLICES and all(isinstance(d, int) for d in x.shape[first : first + n])
    if not sliced or jax.default_backend() != "cpu":
        around = ((1, 1), ()) if data_format == "channels_first" else ((1,), (1,))
        window, stride = (around[0] + sizes + around[1] for sizes in (pool, step))
        return lax.reduce_window(x, start, reduce, window, stride, padding.upper())
    # From the last axis to the first: among equal maxima of a window the first in row order wins.
    for axis in reversed(range(n)):
        x = _along(x, first + axis, pool[axis], step[axis], padding, start, combine)
    return x


def _along(x, axis, window, step, padding, start, combine):
    """Pools one axis by combining `window` strided slices of it."""
    if padding == "same":
        before, after = same_padding(x.shape[axis], window, step)
        if before or after:
            x = lax.pad(x, start, [(before, after, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)])
    count = max((x.shape[axis] - window) // step + 1, 0)
    last = max((count - 1) * step + 1, 0)
    parts = [lax.slice_in_dim(x, i, i + last, step, axis) for i in range(window if count else 0)]
    if not parts:
        return lax.slice_in_dim(x, 0, 0, 1, axis)
    out = parts[0]
    for part in parts[1:]:
        out = combine(out, part)
    return out
