"""Random numbers on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kfun import dtypes


def _fold_in(key, data):
    return jax.random.fold_in(key, data)


def randint(key, shape, minval, maxval, dtype="int32"):
    return jax.random.randint(key, shape, minval, maxval, dtypes.name(dtype))


RULES = {
    "random_split_each": lambda keys, num=2: jax.vmap(lambda key: jax.random.split(key, num))(keys),
    "random_shuffle": lambda key, x, axis=0: jax.random.permutation(key, x, axis, independent=True),
    "random_split": lambda key, num=2: jax.random.split(key, num),
    "random_fold_in": _fold_in,
    "random_bits": lambda key, shape=(): jax.random.bits(key, shape, jnp.uint32),
    "random_uniform": lambda key, shape=(), dtype="float32", minval=0.0, maxval=1.0: jax.random.uniform(
        key, shape, dtypes.name(dtype), minval, maxval
    ),
    "random_normal": lambda key, shape=(), dtype="float32": jax.random.normal(key, shape, dtypes.name(dtype)),
    "random_truncated_normal": lambda key, shape=(), dtype="float32", lower=-2.0, upper=2.0: (
        jax.random.truncated_normal(key, lower, upper, shape, dtypes.name(dtype))
    ),
    "random_randint": randint,
    "random_permutation": lambda key, n: jax.random.permutation(key, n).astype("int32"),
    "random_bernoulli": lambda key, p=0.5, shape=(): jax.random.bernoulli(key, p, shape),
}
