"""Bits and whole numbers on JAX."""

from __future__ import annotations

import jax.numpy as jnp

from kfun import dtypes

_BITS = "bitwise_and bitwise_or bitwise_xor bitwise_not gcd lcm nextafter"

RULES = {
    **{name: getattr(jnp, name) for name in _BITS.split()},
    "bitwise_left_shift": jnp.left_shift,
    "bitwise_right_shift": jnp.right_shift,
    "view": lambda x, dtype=None: x if dtype is None else x.view(dtypes.name(dtype)),
}
