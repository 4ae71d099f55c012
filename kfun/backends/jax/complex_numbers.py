"""Complex numbers on JAX."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax


def complex_(real, imag):
    dtype = jnp.result_type(real, imag, jnp.float32)
    return lax.complex(*jnp.broadcast_arrays(jnp.asarray(real, dtype), jnp.asarray(imag, dtype)))


RULES = {
    **{name: getattr(jnp, name) for name in ("real", "imag", "conj", "isreal", "angle")},
    "complex": complex_,
}
