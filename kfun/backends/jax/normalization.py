"""Normalization on JAX."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from kfun.ops._dispatch import OPS


def moments(x, axes, keepdims=False, synchronized=False):
    if synchronized or x.dtype not in (jnp.float32, jnp.float64):
        return OPS["moments"].body(x, axes, keepdims, synchronized)
    return _moments(x, tuple(axes) if isinstance(axes, (list, tuple)) else (axes,), keepdims)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _moments(x, axes, keepdims):
    return OPS["moments"].body(x, axes, keepdims)


@_moments.defjvp
def _moments_jvp(axes, keepdims, primals, tangents):
    """The variance does not change with the mean that it is taken around, so nothing is summed for that."""
    (x,), (dx,) = primals, tangents
    mean, variance = _moments(x, axes, True)
    moved = [jnp.mean(dx, axes, keepdims=keepdims), 2 * jnp.mean((x - mean) * dx, axes, keepdims=keepdims)]
    kept = (mean, variance) if keepdims else (jnp.squeeze(mean, axes), jnp.squeeze(variance, axes))
    return kept, tuple(moved)


RULES = {
    "moments": moments,
}
