"""Statistics, selection and scattering on jax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.experimental import sparse as jax_sparse

from kfun import dtypes
from kfun.ops._dispatch import OPS

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


def unique(
    x,
    sorted=True,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    size=None,
    fill_value=None,
):
    wishes = (return_index, return_inverse, return_counts)
    return jnp.unique(x, *wishes, axis, equal_nan=False, size=size, fill_value=fill_value, sorted=sorted)


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    dtype = dtypes.name(dtype or "float32")
    if not sparse:
        return jax.nn.one_hot(x, num_classes, axis=axis, dtype=dtype)
    places = list(jnp.indices(x.shape, "int32"))
    places.insert(axis % (x.ndim + 1), jnp.clip(x, 0, num_classes - 1).astype("int32"))
    values = ((x >= 0) & (x < num_classes)).astype(dtype).ravel()
    shape = list(x.shape)
    shape.insert(axis % (x.ndim + 1), num_classes)
    indices = jnp.stack([p.ravel() for p in places], -1)
    return jax_sparse.BCOO((values, indices), shape=tuple(shape), unique_indices=True)


def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False):
    """The sparse form stores each label, those that a row holds twice with a 0 the second time."""
    if not sparse or num_classes is None:
        return OPS["multi_hot"].body(inputs, num_classes, axis, dtype)
    if inputs.ndim not in (1, 2) or axis not in (-1, inputs.ndim):
        raise ValueError(
            "ops.multi_hot: expected [L] or [B, L] and axis=-1 for sparse=True; received shape "
            f"{inputs.shape} and axis={axis}"
        )
    labels = jnp.sort(inputs, -1)
    new = jnp.ones_like(labels, bool).at[..., 1:].set(labels[..., 1:] != labels[..., :-1])
    shape = (*inputs.shape[:-1], num_classes)
    places = [*jnp.indices(labels.shape, "int32")[:-1], jnp.clip(labels, 0, num_classes - 1).astype("int32")]
    values = (new & (labels >= 0) & (labels < num_classes)).astype(dtypes.name(dtype or "float32"))
    return jax_sparse.BCOO((values.ravel(), jnp.stack([p.ravel() for p in places], -1)), shape=shape)


def bincount(x, weights=None, minlength=0, sparse=False):
    counts = OPS["bincount"].body(x, weights, minlength)
    return jax_sparse.BCOO.fromdense(counts) if sparse else counts


RULES = {
    "scatter_update": scatter_update,
    "segment_max": _segments(jax.ops.segment_max),
    "segment_min": _segments(jax.ops.segment_min),
    "segment_prod": _segments(jax.ops.segment_prod),
    "isin": lambda x1, x2, assume_unique=False, invert=False: jnp.isin(x1, x2, assume_unique, invert),
    "nonzero": lambda x: tuple(i.astype("int32") for i in jnp.nonzero(x)),
    "unique": unique,
    "cumprod": lambda x, axis=None, dtype=None: jnp.cumprod(x, axis, dtypes.name(dtype) if dtype else None),
    "one_hot": one_hot,
    "multi_hot": multi_hot,
    "bincount": bincount,
}
