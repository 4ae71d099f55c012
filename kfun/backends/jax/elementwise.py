"""Elementwise arithmetic on JAX."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from kfun.backends.jax.arrays import of_floats
from kfun.backends.jax.explicit import where


def _round(x, decimals=0):
    if decimals >= 0 or not jnp.issubdtype(x.dtype, jnp.integer):
        return jnp.round(x, decimals)
    unit = 10**-decimals  # which jax.numpy does not do for integers
    whole = x // unit
    rest = 2 * (x - whole * unit)
    return (whole + ((rest > unit) | ((rest == unit) & (whole % 2 == 1)))) * unit


_UNARY = """negative sign exp expm1 log log1p sqrt sin cos tanh floor ceil isnan isinf isfinite logical_not square
    reciprocal abs fabs trunc signbit isposinf isneginf"""
_BINARY = """add subtract multiply divide floor_divide mod fmod power maximum minimum fmax fmin arctan2 equal not_equal
    less less_equal greater greater_equal logical_and logical_or logical_xor logaddexp"""

RULES = {
    **{name: getattr(jnp, name) for name in f"{_UNARY} {_BINARY}".split()},
    "where": where,
    "rsqrt": of_floats(lax.rsqrt),
    "erf": of_floats(lax.erf),
    "erfinv": of_floats(lax.erf_inv),
    "round": _round,
    "clip": lambda x, x_min, x_max: jnp.clip(x, x_min, x_max),
}
