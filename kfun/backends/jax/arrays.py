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
    return jnp.asarray(x)


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
