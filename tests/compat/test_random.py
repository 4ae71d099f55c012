"""`compat.random` gives the numbers of `keras.random` on JAX for the same seed, under the same signatures."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest

import compat

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
DRAWS = {
    "beta": lambda r, s: r.beta((3, 4), [0.3, 1.0, 2.0, 5.0], 1.5, seed=s),
    "binomial": lambda r, s: r.binomial((6, 3), [10, 100, 7], 0.3, seed=s),
    "categorical": lambda r, s: r.categorical(X, 7, seed=s),
    "dropout": lambda r, s: r.dropout(X, 0.4, seed=s),
    "dropout of columns": lambda r, s: r.dropout(X, 0.4, (None, 1), seed=s),
    "gamma": lambda r, s: r.gamma((3, 4), np.float32([0.3, 1, 2, 5]), seed=s),
    "normal": lambda r, s: r.normal((3, 4), 2.0, 0.5, seed=s),
    "randint": lambda r, s: r.randint((9,), -3, 12, seed=s),
    "shuffle": lambda r, s: r.shuffle(X, seed=s),
    "shuffle along an axis": lambda r, s: r.shuffle(X, axis=1, seed=s),
    "truncated_normal": lambda r, s: r.truncated_normal([20], seed=s),
    "uniform": lambda r, s: r.uniform((3, 4), -1.0, 2.0, seed=s),
    "half precision": lambda r, s: r.gamma((5,), 2.0, dtype="float16", seed=s),
}


@pytest.mark.skipif(keras.config.backend() != "jax", reason="the numbers are those of Keras on JAX")
@pytest.mark.parametrize("name", DRAWS)
def test_numbers_are_those_of_keras(name):
    draw = DRAWS[name]
    ours, theirs = compat.random.SeedGenerator(11), keras.random.SeedGenerator(11)
    for mine, kerass in ((7, 7), (ours, theirs), (ours, theirs)):
        expected, received = np.asarray(draw(keras.random, kerass)), np.asarray(draw(compat.random, mine))
        assert received.dtype == expected.dtype
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in vars(keras.random) if n.islower() and not n.startswith("_")])
def test_signatures_are_those_of_keras(name):
    def shown(function):
        return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]

    if callable(getattr(keras.random, name)):
        assert shown(getattr(compat.random, name)) == shown(getattr(keras.random, name))


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="floating"):
        compat.random.uniform((2,), dtype="int32")
    with pytest.raises(ValueError, match="integer"):
        compat.random.randint((2,), 0, 5, dtype="float32")
    with pytest.raises(ValueError, match=r"\[B, C\]"):
        compat.random.categorical([0.0, 1.0], 2)
