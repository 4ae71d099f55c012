"""Statistics on JAX."""

from __future__ import annotations

from jax.experimental import sparse as jax_sparse

from kfun.ops._dispatch import OPS


def bincount(x, weights=None, minlength=0, sparse=False):
    counts = OPS["bincount"].body(x, weights, minlength)
    return jax_sparse.BCOO.fromdense(counts) if sparse else counts


RULES = {
    "bincount": bincount,
}
