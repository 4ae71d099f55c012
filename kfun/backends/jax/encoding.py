"""Encodings of labels on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.experimental import sparse as jax_sparse

from kfun import dtypes
from kfun.ops._dispatch import OPS


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


RULES = {
    "one_hot": one_hot,
    "multi_hot": multi_hot,
}
