"""Rows of the random ops: JAX's own numbers, bit for bit where that is promised."""

from __future__ import annotations

import jax
import numpy as np

from kfun import random
from tests.ops.rows import case, row

_GAPS = dict.fromkeys(("openvino", "onnx"), "numbers are drawn before export")
_EXACT = {"rtol": 0, "atol": 0, "grad": False, "gaps": _GAPS}
# erfinv is approximated differently: the normals agree to rounding of their tails.
_ROUNDED = {"rtol": 1e-5, "atol": 3e-5, "grad": False, "gaps": _GAPS}

# Loops until all numbers are drawn: TensorFlow's vectorized maps cannot; the derived form has no gradient.
_LOOPED = {"rtol": 1e-4, "atol": 1e-6, "grad": False, "vmap": ("jax", "torch", "numpy"), "gaps": _GAPS}


def _key(draw):
    return draw.generator.integers(0, 2**32, size=2, dtype="uint32")


def _shaped(draw):
    return [case(_key(draw), (7,)), case(_key(draw)), case(_key(draw), [2, 3, 5]), case(_key(draw), shape=(0, 2))]


def _splits(draw):
    return [case(_key(draw)), case(_key(draw), 5), case(_key(draw), num=1)]


def _folds(draw):
    return [case(_key(draw), 7), case(_key(draw), 0), case(_key(draw), 2**31 - 1)]


def _uniforms(draw):
    return [
        *_shaped(draw),
        case(_key(draw), (6,), "float32", -2.0, 3.0),
        case(_key(draw), (5,), dtype="float16"),
        case(_key(draw), (5,), "bfloat16"),
    ]


def _truncated(draw):
    return [*_shaped(draw), case(_key(draw), (6,), "float32", -1.0, 0.5), case(_key(draw), (6,), lower=0.5, upper=3.0)]


def _integers(draw):
    return [
        case(_key(draw), (9,), 0, 10),
        case(_key(draw), (), -5, 5),
        case(_key(draw), [3, 3], 0, 2**30),
        case(_key(draw), (8,), -(2**31), 2**31 - 1),
        case(_key(draw), (4,), minval=3, maxval=4),
        case(_key(draw), (8,), 0, 200, "uint8"),
        case(_key(draw), (8,), 0, 2**31 - 1, dtype="uint32"),
    ]


def _permutations(draw):
    return [case(_key(draw), 10), case(_key(draw), 1), case(_key(draw), n=1000)]


def _bernoullis(draw):
    return [
        case(_key(draw), 0.3, (20,)),
        case(_key(draw), shape=(2, 3)),
        case(_key(draw), draw.uniform(0, 1, 4), (4,)),
        case(_key(draw), 1.0, (5,)),
    ]


def _choices(draw):
    return [
        case(_key(draw), draw.normal(6, 5)),
        case(_key(draw), draw.normal(5)),
        case(_key(draw), draw.normal(4, 6), 0),
    ]


def _batched_splits(draw):
    keys = draw.generator.integers(0, 2**32, size=(3, 2), dtype="uint32")
    return [case(keys), case(keys, 3), case(keys[:1], num=1)]


def _shuffles(draw):
    return [
        case(_key(draw), draw.normal(7)),
        case(_key(draw), draw.normal(5, 4)),
        case(_key(draw), draw.normal(3, 6), 1),
        case(_key(draw), draw.integers(0, 9, 2, 3, 4), axis=-2),
        case(_key(draw), draw.normal(1)),
    ]


def _dropouts(draw):
    x = draw.normal(4, 6)
    return [
        case(_key(draw), x, 0.3),
        case(_key(draw), x, 0.5, (4, 1)),
        case(_key(draw), x, 0.5, noise_shape=(None, 1)),
        case(_key(draw), x, 0.0),
        case(_key(draw), x, 1.0),
        case(_key(draw), x.astype("float16"), 0.25).but(rtol=2e-3),
    ]


def _dropped(key, inputs, rate, noise_shape=None):
    import keras.src.backend.jax.random as keras_random

    return keras_random.dropout(inputs, rate, noise_shape, jax.numpy.asarray(key))


def _gammas(draw):
    return [
        case(_key(draw), draw.uniform(0.1, 8, 20)),
        case(_key(draw), np.float32([0.01, 0.5, 1, 2, 100]), (4, 5)),
        case(_key(draw), np.float32(2.5), shape=(3,)),
        case(_key(draw), draw.uniform(0.5, 3, 2, 1), (2, 3), "float32"),
        case(_key(draw), draw.uniform(0.5, 3, 0)),
    ]


def _betas(draw):
    return [
        case(_key(draw), draw.uniform(0.1, 8, 20), draw.uniform(0.1, 8, 20)),
        case(_key(draw), np.float32([0.01, 0.5, 1]), np.float32(0.02), (4, 3)),
        case(_key(draw), draw.uniform(0.5, 3, 2, 1), draw.uniform(0.5, 3, 3), dtype="float32"),
    ]


def _binomials(draw):
    return [
        case(_key(draw), np.float32([5, 10, 30, 1000, 3]), draw.uniform(0, 1, 5)),
        case(_key(draw), np.float32(40), np.float32([0.1, 0.5, 0.9]), (20, 3)),
        case(_key(draw), draw.integers(1, 200, 4, 1), draw.uniform(0, 1, 3)),
        case(_key(draw), np.float32([-1, 5, 5, np.inf, np.nan, 7, 7]), np.float32([0.5, -0.1, np.nan, 0.5, 0.5, 0, 1])),
        case(_key(draw), np.float32(12), np.float32(0.4), shape=(2, 2), dtype="float32"),
    ]


ROWS = [
    row(
        "random_split_each",
        _batched_splits,
        lambda keys, num=2: np.stack([jax.random.split(key, num) for key in keys]),
        op=random.split_each,
        **_EXACT,
    ),
    row(
        "random_shuffle",
        _shuffles,
        lambda key, x, axis=0: jax.random.permutation(key, x, axis, independent=True),
        op=random.shuffle,
        **_EXACT,
    ),
    row("random_dropout", _dropouts, _dropped, op=random.dropout, rtol=1e-6, gaps=_GAPS),
    row("random_gamma", _gammas, jax.random.gamma, op=random.gamma, **_LOOPED),
    row("random_beta", _betas, jax.random.beta, op=random.beta, **_LOOPED),
    row("random_binomial", _binomials, jax.random.binomial, op=random.binomial, **_LOOPED),
    row("random_split", _splits, lambda key, num=2: jax.random.split(key, num), op=random.split, **_EXACT),
    row("random_fold_in", _folds, jax.random.fold_in, op=random.fold_in, **_EXACT),
    row("random_bits", _shaped, lambda key, shape=(): jax.random.bits(key, shape), op=random.bits, **_EXACT),
    row("random_uniform", _uniforms, jax.random.uniform, op=random.uniform, **_EXACT),
    row("random_normal", _shaped, jax.random.normal, op=random.normal, **_ROUNDED),
    row(
        "random_truncated_normal",
        _truncated,
        lambda key, shape=(), dtype="float32", lower=-2.0, upper=2.0: jax.random.truncated_normal(
            key, lower, upper, shape, dtype
        ),
        op=random.truncated_normal,
        **_ROUNDED,
    ),
    row("random_randint", _integers, jax.random.randint, op=random.randint, **_EXACT),
    row(
        "random_permutation",
        _permutations,
        lambda key, n: np.asarray(jax.random.permutation(key, n), "int32"),
        op=random.permutation,
        **_EXACT,
    ),
    row("random_bernoulli", _bernoullis, jax.random.bernoulli, op=random.bernoulli, **_EXACT),
    row(
        "random_categorical",
        _choices,
        lambda key, logits, axis=-1: np.asarray(
            np.argmax(
                logits - np.log(-np.log(np.asarray(jax.random.uniform(key, logits.shape, minval=1.1754944e-38)))), axis
            )
        ),
        op=random.categorical,
        **_EXACT,
    ),
]
