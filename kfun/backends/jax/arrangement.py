"""Diagonals on JAX."""

from __future__ import annotations

import jax.numpy as jnp

from kfun.ops._dispatch import OPS

RULES = {
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: jnp.diagonal(x, offset, axis1, axis2),
    "diag": lambda x, k=0: jnp.diag(x, k) if x.ndim in (1, 2) else OPS["diag"].body(x, k),
}
