"""Ops whose operands JAX wants to be sharded alike on a mesh with explicit axes, where it does so itself elsewhere."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, reshard


def where(condition, x1, x2):
    operands = condition, x1, x2
    widest = max(map(_split_axes, operands))
    if not widest or all(_split_axes(x) == widest and x.ndim == jnp.ndim(condition) for x in operands):
        return jnp.where(condition, x1, x2)
    # A mask that is the same everywhere (drawn, or of positions) meets rows that are apart.
    shape = np.broadcast_shapes(*map(np.shape, operands))
    whole = [jnp.broadcast_to(x, shape) for x in operands]
    sharding = jax.typeof(max(whole, key=_split_axes)).sharding
    return jnp.where(*(reshard(x, sharding) for x in whole))


def take(x, indices, axis=None):
    if axis is None or not _split_axes(indices) or _spec(x)[axis] is not None:
        return jnp.take(x, indices, axis)
    axis, mesh = axis % x.ndim, jax.typeof(indices).sharding.mesh
    spec = PartitionSpec(*_spec(x)[:axis], *_spec(indices), *_spec(x)[axis + 1 :])
    places = (slice(None),) * axis + (indices,)
    return x.at[places].get(mode="fill", out_sharding=NamedSharding(mesh, spec))


def _spec(x) -> tuple:
    spec = tuple(jax.typeof(x).sharding.spec)
    return spec + (None,) * (jnp.ndim(x) - len(spec))


def _split_axes(x) -> int:
    """Over how many of its axes an array is split explicitly; 0 for Python's numbers and NumPy's arrays."""
    if not isinstance(x, jax.Array):
        return 0
    sharding = jax.typeof(x).sharding
    return 0 if sharding.mesh.empty else sum(part is not None for part in sharding.spec)
