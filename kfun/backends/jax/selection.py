"""Selection by values on JAX."""

from __future__ import annotations

import jax.numpy as jnp


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


RULES = {
    "isin": lambda x1, x2, assume_unique=False, invert=False: jnp.isin(x1, x2, assume_unique, invert),
    "nonzero": lambda x: tuple(i.astype("int32") for i in jnp.nonzero(x)),
    "unique": unique,
}
