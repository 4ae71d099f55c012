"""Scattering on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_HALF = ("float16", "bfloat16")


def scatter_update(inputs, indices, updates, reduction=None):
    if reduction not in _METHODS:
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    wide = jnp.float32 if reduction in ("add", "mul") and inputs.dtype.name in _HALF else inputs.dtype
    places = inputs.astype(wide).at[tuple(jnp.moveaxis(indices, -1, 0))]
    return getattr(places, _METHODS[reduction])(updates.astype(inputs.dtype).astype(wide)).astype(inputs.dtype)


_METHODS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


def _segments(reduce):
    def rule(data, segment_ids, num_segments=None, sorted=False):
        return reduce(data, segment_ids, num_segments, indices_are_sorted=sorted)

    return rule


RULES = {
    "scatter_update": scatter_update,
    "segment_max": _segments(jax.ops.segment_max),
    "segment_min": _segments(jax.ops.segment_min),
    "segment_prod": _segments(jax.ops.segment_prod),
}
