"""Reductions on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kfun import dtypes
from kfun.backends.common.axes import settled
from kfun.backends.jax.arrays import named


def _reduction(f):
    def rule(x, axis=None, keepdims=False):
        return f(x, axis=settled(axis), keepdims=keepdims)

    return rule


def _index_of(f):
    def rule(x, axis=None, keepdims=False):
        return f(x, axis=axis, keepdims=keepdims).astype("int32")

    return rule


RULES = {
    "cumprod": lambda x, axis=None, dtype=None: jnp.cumprod(x, axis, dtypes.name(dtype) if dtype else None),
    **{
        name: _reduction(getattr(jnp, name))
        for name in ("sum", "mean", "prod", "max", "min", "any", "all", "var", "std")
    },
    "argmax": _index_of(jnp.argmax),
    "argmin": _index_of(jnp.argmin),
    "cumsum": lambda x, axis=None, dtype=None: jnp.cumsum(x, axis, named(dtype)),
    "logsumexp": lambda x, axis=None, keepdims=False: jax.nn.logsumexp(x, settled(axis), keepdims=keepdims),
}
