"""Dtypes and conversion on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kfun import dtypes


def convert(x):
    """An array of NumPy data, a Python number, or a list of these and of arrays."""
    if isinstance(x, (list, tuple)) or type(x) in (bool, int, float, complex):
        x = np.asarray(x) if not _holds_tracers(x) else jnp.asarray(x)
    return jnp.asarray(refuse_lost_bits(x))


def refuse_lost_bits(x):
    """`x`, unless it has NumPy integers that JAX, which has 32 bits by default, would take modulo 2^32.

    Raises:
        OverflowError: if it has.
    """
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.itemsize == 8 and x.dtype.kind in "iu" and x.size:
        _check_range(x)
    return x


def _check_range(x):
    if jax.config.read("jax_enable_x64"):
        return
    lowest, highest = (-(2**31), 2**31 - 1) if x.dtype.kind == "i" else (0, 2**32 - 1)
    least, largest = int(x.min()), int(x.max())
    if least < lowest or largest > highest:
        raise OverflowError(
            f"received {x.dtype}{list(x.shape)} with values from {least:,} to {largest:,}; JAX has 32 bits for "
            f"integers and would take them modulo 2^32: expected values from {lowest:,} to {highest:,}. Renumber them, "
            'or switch 64 bits on with jax.config.update("jax_enable_x64", True)'
        )


def _holds_tracers(x):
    return (
        any(isinstance(e, jax.Array) or (isinstance(e, (list, tuple)) and _holds_tracers(e)) for e in x)
        if isinstance(x, (list, tuple))
        else False
    )


def named(dtype):
    """The name of a dtype; None stays None."""
    return None if dtype is None else dtypes.name(dtype)


def of_floats(f):
    """A function of floats, integers as float32."""

    def rule(x):
        return f(x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32))

    return rule
