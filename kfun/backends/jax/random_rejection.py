"""Random numbers by rejection on JAX."""

from __future__ import annotations

import jax

from kfun import dtypes

RULES = {
    "random_gamma": lambda key, alpha, shape=None, dtype="float32": jax.random.gamma(
        key, alpha, shape, dtypes.name(dtype)
    ),
    "random_beta": lambda key, alpha, beta, shape=None, dtype="float32": jax.random.beta(
        key, alpha, beta, shape, dtypes.name(dtype)
    ),
    "random_binomial": lambda key, counts, probabilities, shape=None, dtype="float32": jax.random.binomial(
        key, counts, probabilities, shape, dtypes.name(dtype)
    ),
}
