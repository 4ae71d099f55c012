"""Special functions on JAX."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from kfun.backends.jax.arrays import of_floats

_MATH = """tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh cbrt exp2 log2 log10 deg2rad rad2deg logaddexp2
    heaviside i0"""

RULES = {
    **{name: getattr(jnp, name) for name in _MATH.split()},
    "erfc": of_floats(lax.erfc),
    "lgamma": of_floats(lax.lgamma),
    "digamma": of_floats(lax.digamma),
}
