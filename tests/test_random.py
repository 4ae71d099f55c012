"""The same key gives the same numbers on every backend; the numbers are those of JAX and look random."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.stats

from kfun import ops, random
from kfun.ops import _kinds
from tests.conftest import BACKENDS, GRAPHS

OTHERS = [b for b in BACKENDS if b not in ("jax", *GRAPHS)]


def drawn(backend, seed, function):
    with _kinds.backend(backend):
        return np.asarray(ops.convert_to_numpy(function(random.key(seed))))


EXACT = {
    "bits": lambda key: random.bits(key, (3, 5)),
    "bits, odd": lambda key: random.bits(key, (1001,)),
    "uniform": lambda key: random.uniform(key, (4, 7)),
    "uniform in a range": lambda key: random.uniform(key, (50,), minval=-3.0, maxval=0.5),
    "bernoulli": lambda key: random.bernoulli(key, 0.3, (100,)),
    "randint": lambda key: random.randint(key, (60,), -7, 1000),
    "randint of the full range": lambda key: random.randint(key, (60,), -(2**31), 2**31 - 1),
    "split": lambda key: random.split(key, 5),
    "fold_in": lambda key: random.fold_in(key, 12345),
    "chain": lambda key: random.bits(random.fold_in(random.split(key, 3)[1], 2), (4,)),
    "permutation": lambda key: random.permutation(key, 257),
}
ROUNDED = {
    "normal": lambda key: random.normal(key, (1000,)),
    "truncated_normal": lambda key: random.truncated_normal(key, (1000,)),
}


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1, 2**45 + 3])
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("backend", OTHERS)
def test_bits_agree(backend, name, seed):
    expected, received = drawn("jax", seed, EXACT[name]), drawn(backend, seed, EXACT[name])
    assert received.dtype == expected.dtype
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("name", ROUNDED)
@pytest.mark.parametrize("backend", OTHERS)
def test_normals_agree_within_rounding(backend, name, seed):
    expected, received = drawn("jax", seed, ROUNDED[name]), drawn(backend, seed, ROUNDED[name])
    assert received.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=3e-5)


WIDE = {
    "uniform": lambda key: random.uniform(key, (20,), "float64", -3.0, 5.0),
    "normal": lambda key: random.normal(key, (20,), "float64"),
    "truncated_normal": lambda key: random.truncated_normal(key, (20,), "float64"),
    "gamma": lambda key: random.gamma(key, np.linspace(0.2, 3, 20), dtype="float64"),
    "beta": lambda key: random.beta(key, np.linspace(0.2, 3, 20), 2.0, dtype="float64"),
    "binomial": lambda key: random.binomial(key, np.full(20, 50.0), np.linspace(0.1, 0.9, 20), dtype="float64"),
    "of few": lambda key: random.randint(key, (20,), -5, 12, "int64"),
    "of many": lambda key: random.randint(key, (20,), -3, 10**12, "int64"),
    "of all": lambda key: random.randint(key, (20,), -(2**63), 2**63 - 1, "int64"),
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("backend", OTHERS)
def test_64_bits_are_drawn_as_by_jax_with_x64(backend, name):
    with jax.enable_x64(True):
        expected, received = drawn("jax", 11, WIDE[name]), drawn(backend, 11, WIDE[name])
    assert received.dtype == expected.dtype
    assert received.dtype.itemsize == 8
    np.testing.assert_allclose(received, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_keys_are_those_of_jax(seed):
    with jax.enable_x64(True):
        expected = jax.random.key_data(jax.random.key(np.uint64(seed)))
    np.testing.assert_array_equal(random.key(seed), expected)


def test_numbers_are_those_of_jax_typed_keys():
    ours, theirs = random.key(5), jax.random.key(5)
    np.testing.assert_array_equal(random.uniform(ours, (9,)), jax.random.uniform(theirs, (9,)))
    np.testing.assert_array_equal(random.split(ours, 3), jax.random.key_data(jax.random.split(theirs, 3)))
    np.testing.assert_array_equal(random.categorical(ours, np.zeros((5, 4), "float32")).dtype, "int32")


def test_keys_differ():
    base = random.key(0)
    first, *rest = random.split(base, 4)  # as in JAX, fold_in(base, i) would be row i of the split
    keys = [base, first, *rest, *(random.fold_in(first, i) for i in range(4)), random.key(1), random.key(2**32)]
    assert len({tuple(np.asarray(k).tolist()) for k in keys}) == len(keys)


def test_a_key_gives_its_numbers_every_time_and_under_jit():
    key = random.key(3)
    np.testing.assert_array_equal(random.uniform(key, (8,)), random.uniform(key, (8,)))
    np.testing.assert_array_equal(jax.jit(lambda k: random.uniform(k, (8,)))(key), random.uniform(key, (8,)))
    keys = random.split(key, 4)
    looped = np.stack([random.normal(k, (3,)) for k in keys])
    np.testing.assert_allclose(jax.vmap(lambda k: random.normal(k, (3,)))(keys), looped, rtol=1e-6)


N = 20_000
DISTRIBUTIONS = {
    "uniform": (lambda k: random.uniform(k, (N,)), scipy.stats.uniform()),
    "a wider uniform": (lambda k: random.uniform(k, (N,), minval=-2.0, maxval=5.0), scipy.stats.uniform(-2, 7)),
    "normal": (lambda k: random.normal(k, (N,)), scipy.stats.norm()),
    "truncated normal": (lambda k: random.truncated_normal(k, (N,)), scipy.stats.truncnorm(-2, 2)),
    "a one-sided truncated normal": (
        lambda k: random.truncated_normal(k, (N,), lower=0.5, upper=3.0),
        scipy.stats.truncnorm(0.5, 3),
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_continuous_distributions(name, backend):
    if backend in GRAPHS:
        pytest.skip("no random numbers in a graph")
    draw, distribution = DISTRIBUTIONS[name]
    values = drawn(backend, 11, draw)
    assert values.dtype == np.float32
    low, high = distribution.support()
    assert values.min() >= low
    assert values.max() <= high
    assert scipy.stats.kstest(values, distribution.cdf).pvalue > 1e-3


def chi_square(counts, probabilities):
    return scipy.stats.chisquare(counts, np.sum(counts) * np.asarray(probabilities)).pvalue


def test_integers_are_uniform():
    values = np.asarray(random.randint(random.key(1), (N,), 3, 13))
    assert (values.min(), values.max()) == (3, 12)
    assert chi_square(np.bincount(values - 3, minlength=10), np.full(10, 0.1)) > 1e-3


def test_bernoulli_has_its_probability():
    values = np.asarray(random.bernoulli(random.key(2), 0.3, (N,)))
    assert values.dtype == bool
    assert chi_square([values.sum(), N - values.sum()], [0.3, 0.7]) > 1e-3
    assert not np.asarray(random.bernoulli(random.key(2), 0.0, (100,))).any()
    assert np.asarray(random.bernoulli(random.key(2), 1.0, (100,))).all()


def test_categorical_follows_the_softmax_of_its_logits():
    logits = np.float32([0.0, 1.0, -1.0, -np.inf])
    values = np.asarray(random.categorical(random.key(4), np.broadcast_to(logits, (N, 4))))
    counts = np.bincount(values, minlength=4)
    assert counts[3] == 0
    assert chi_square(counts[:3], scipy.special.softmax(logits[:3].astype("float64"))) > 1e-3


def test_permutations_permute_and_are_uniform():
    values = np.asarray(random.permutation(random.key(6), 1000))
    np.testing.assert_array_equal(np.sort(values), np.arange(1000))
    assert values.dtype == np.int32
    firsts = jax.vmap(lambda k: random.permutation(k, 4)[0])(random.split(random.key(7), 2000))
    assert chi_square(np.bincount(firsts, minlength=4), np.full(4, 0.25)) > 1e-3


def test_bits_are_balanced():
    words = np.asarray(random.bits(random.key(8), (N,)))
    ones = np.unpackbits(words.view("uint8")).reshape(N, 32).mean(0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(N)


REJECTED = {
    "gamma": lambda key: random.gamma(key, np.linspace(0.05, 9, 400).astype("float32")),
    "beta": lambda key: random.beta(key, np.linspace(0.05, 9, 400).astype("float32"), np.float32(0.7)),
    "binomial": lambda key: random.binomial(key, np.float32(60), np.linspace(0, 1, 400).astype("float32")),
    "shuffle": lambda key: random.shuffle(key, np.arange(24.0).reshape(4, 6).astype("float32"), 1),
    "dropout": lambda key: random.dropout(key, np.ones((8, 8), "float32"), 0.4),
}


@pytest.mark.parametrize("name", REJECTED)
@pytest.mark.parametrize("backend", OTHERS)
def test_loops_until_all_are_drawn_agree_within_rounding(backend, name):
    expected, received = drawn("jax", 42, REJECTED[name]), drawn(backend, 42, REJECTED[name])
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda k: random.gamma(k, 2.5, (N,)), scipy.stats.gamma(2.5)),
        (lambda k: random.gamma(k, 0.3, (N,)), scipy.stats.gamma(0.3)),
        (lambda k: random.beta(k, 0.5, 2.0, (N,)), scipy.stats.beta(0.5, 2)),
    ],
)
def test_distributions_of_rejected_draws(draw, distribution):
    values = drawn("numpy", 3, draw)
    assert values.dtype == np.float32
    assert scipy.stats.kstest(values, distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("n", "p"), [(12, 0.3), (200, 0.2), (50, 0.85)])
def test_binomial_has_its_distribution(n, p):
    values = drawn("numpy", 5, lambda k: random.binomial(k, n, p, (N,))).astype(int)
    counts, expected = np.bincount(values, minlength=n + 1), scipy.stats.binom(n, p).pmf(range(n + 1))
    common = expected * N > 5
    total = np.append(counts[common], counts[~common].sum()), np.append(expected[common], expected[~common].sum())
    assert chi_square(*total) > 1e-3
