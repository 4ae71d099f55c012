"""Random numbers by rejection: gamma, beta, binomial, with the decisions of `jax.random`.

Rejected draws are drawn again until all places have one, so that the loops end when the last does.
"""

from __future__ import annotations

import math

import numpy as np

from kfun import dtypes
from kfun.ops import bits as b
from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, DType, derived
from kfun.ops._like import beside
from kfun.ops._precision import dtype_of
from kfun.random_basis import split, split_each, uniform


@derived(name="random_gamma")
def gamma(key: Array, alpha: Array, shape=None, dtype: DType = "float32") -> Array:
    """Gamma distributed with the scale 1 (Marsaglia & Tsang 2000, "A simple method for generating gamma variables").

    Args:
        key: a key.
        alpha: the concentration, greater than 0; its gradient is known on JAX alone.
        shape: what `alpha` is broadcast to; its own by default.
        dtype: float16 and bfloat16 agree between backends in distribution only.
    """
    return _gamma(key, alpha, shape, dtype, False)


@derived(name="random_beta")
def beta(key: Array, alpha: Array, beta: Array, shape=None, dtype: DType = "float32") -> Array:
    """Beta distributed: `x / (x + y)` of two gamma distributed numbers, by their logarithms.

    Args:
        key: a key.
        alpha, beta: the concentrations, greater than 0.
        shape: what both are broadcast to; their common shape by default.
        dtype: as in `gamma`.
    """
    shape = np.broadcast_shapes(c.shape(alpha), c.shape(beta)) if shape is None else shape
    keys = split(key)
    x, y = (_gamma(s.getitem(keys, i), a, shape, dtype, True) for i, a in enumerate((alpha, beta)))
    top = e.maximum(x, y)
    x, y = e.exp(e.subtract(x, top)), e.exp(e.subtract(y, top))
    return e.divide(x, e.add(x, y))


def _gamma(key, alpha, shape, dtype, logarithm):
    dtype = dtypes.name(dtype)
    alpha = beside(key, alpha)
    shape = c.shape(alpha) if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    alpha = s.reshape(s.broadcast_to(c.cast(control.stop_gradient(alpha), dtype), shape), (-1,))
    if math.prod(shape) == 0:
        return s.reshape(alpha, shape)
    large = e.greater_equal(alpha, 1.0)
    d = e.subtract(e.where(large, alpha, e.add(alpha, 1.0)), 1.0 / 3.0)
    key, sub = _pieces(split(key, math.prod(shape)), 2)
    volume = _marsaglia_tsang(key, d)
    draws = _uniform(sub, dtype)
    if logarithm:
        lost = e.log1p(e.negative(draws))
        boost = e.where(e.logical_or(large, e.equal(lost, 0)), 0.0, e.divide(lost, alpha))
        out = e.add(e.add(e.log(d), e.log(volume)), boost)
    else:
        boost = e.where(large, 1.0, e.power(e.subtract(1.0, draws), e.divide(1.0, alpha)))
        out = e.multiply(e.multiply(d, volume), boost)
    return s.reshape(out, shape)


def _marsaglia_tsang(keys, d):
    """`V` such that `d * V` is gamma distributed with the concentration `d + 1/3`, at least 1."""
    slope = e.divide(1.0 / 3.0, e.sqrt(d))

    def rejected(x, v, u):
        late = e.greater_equal(u, e.subtract(1.0, e.multiply(0.0331, e.multiply(x, x))))
        bound = e.add(e.multiply(x, 0.5), e.multiply(d, e.add(e.subtract(1.0, v), e.log(v))))
        return e.logical_and(late, e.greater_equal(e.log(u), bound))

    def positive(going, keys):
        """Normal `x` and `v = 1 + x * slope` above 0, where there is still one to draw."""

        def missing(_, x, v):
            return e.logical_and(going, e.less_equal(v, 0.0))

        def draw(keys, x, v):
            again = missing(keys, x, v)
            left, sub = _pieces(keys, 2)
            new = _normal(sub, dtype_of(d))
            x, v = e.where(again, new, x), e.where(again, e.add(1.0, e.multiply(new, slope)), v)
            return e.where(s.expand_dims(again, 1), left, keys), x, v

        start = (keys, c.zeros_like(d), e.subtract(c.zeros_like(d), 1.0))
        return control.while_loop(lambda *state: r.any(missing(*state)), draw, start)[1:]

    def step(keys, x, v, u):
        going = rejected(x, v, u)
        left, for_normal, for_uniform = _pieces(keys, 3)
        root, side = positive(going, for_normal)
        new = e.multiply(root, root), e.multiply(e.multiply(side, side), side), _uniform(for_uniform, dtype_of(d))
        kept = [e.where(going, n, old) for n, old in zip(new, (x, v, u), strict=True)]
        return (e.where(s.expand_dims(going, 1), left, keys), *kept)

    ones = c.ones_like(d)
    first = (keys, c.zeros_like(d), ones, e.multiply(ones, 2.0))  # which is rejected
    return control.while_loop(lambda _, *state: r.any(rejected(*state)), step, first)[2]


def _pieces(keys, num):
    """`num` arrays of keys `[N, 2]` of keys `[N, 2]`."""
    pieces = split_each(keys, num)
    return [s.getitem(pieces, (slice(None), i)) for i in range(num)]


_DIGITS = {
    "float64": (64, 52),
    "float32": (32, 23),
    "float16": (16, 10),
    "bfloat16": (8, 7),
}  # random bits, of which in the fraction


def _uniform(keys, dtype):
    """A uniform number of each key: what `uniform(key, (), dtype)` gives."""
    width, digits = _DIGITS[dtype]
    words = s.getitem(split_each(keys, 1), (slice(None), 0))  # of the counter 0
    high, low = (s.getitem(words, (slice(None), i)) for i in range(2))
    if dtype == "float64":
        low = b.bitwise_right_shift(low, np.uint32(64 - digits))
        return e.add(e.multiply(c.cast(high, dtype), 2.0**-32), e.multiply(c.cast(low, dtype), 2.0**-digits))
    word = b.bitwise_xor(high, low)
    top = b.bitwise_right_shift(b.bitwise_and(word, np.uint32(2**width - 1)), np.uint32(width - digits))
    return e.multiply(c.cast(top, dtype), 2.0**-digits)


def _normal(keys, dtype):
    """A normal number of each key: what `normal(key, (), dtype)` gives."""
    precision = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype]
    low = 2.0**-precision - 1.0  # the first above -1
    u = e.maximum(e.add(e.multiply(_uniform(keys, dtype), 2.0), low), low)  # 1 - low rounds to 2
    return e.multiply(e.erfinv(u), math.sqrt(2.0))


@derived(name="random_binomial")
def binomial(key: Array, counts: Array, probabilities: Array, shape=None, dtype: DType = "float32") -> Array:
    """How many of `counts` trials succeed, each with a probability.

    Sums of geometric numbers where fewer than 10 successes (or failures) are expected, elsewhere the
    transformed rejection of Hormann 1993, "The generation of binomial random variates".

    Args:
        key: a key.
        counts: at least 0.
        probabilities: in [0, 1].
        shape: what both are broadcast to; their common shape by default.
        dtype: floating.

    Returns:
        Whole numbers; NaN for a negative count, or a probability below 0 or NaN; inf for infinite counts.
    """
    dtype = dtypes.name(dtype)
    drawn = dtypes.inexact(dtypes.weak(probabilities) or dtype_of(probabilities))
    counts, probabilities = beside(key, counts), beside(key, probabilities)
    shape = np.broadcast_shapes(c.shape(counts), c.shape(probabilities)) if shape is None else shape
    n, p = (s.broadcast_to(c.cast(x, drawn), shape) for x in (counts, probabilities))
    rare = e.less(p, 0.5)
    q = e.where(rare, p, e.subtract(1.0, p))
    # TensorFlow takes `not (x >= 0)` for `x < 0`, so NaN is asked for by name.
    no_count, no_share = (e.logical_or(e.isnan(x), e.less(x, 0.0)) for x in (n, q))
    q = e.where(no_share, 0.01, q)
    few = e.logical_or(e.logical_not(e.isfinite(n)), e.less_equal(e.multiply(n, q), 10.0))
    n = e.floor(n)
    by_sums = _geometric_sums(key, e.where(e.logical_and(few, e.isfinite(n)), n, 0.0), q)
    by_rejection = _transformed_rejection(key, e.where(few, 1e4, n), e.where(few, 0.5, q))
    out = e.where(few, by_sums, by_rejection)
    out = e.where(e.isinf(n), float("inf"), e.where(rare, out, e.subtract(n, out)))
    return c.cast(e.where(e.logical_or(no_count, no_share), float("nan"), out), dtype)


def _geometric_sums(key, n, q):
    """Counts geometric waiting times until they are more than `n`."""
    slope = e.log1p(e.negative(q))

    def step(key, total, found):
        pair = split(key)
        u = uniform(s.getitem(pair, 0), c.shape(n), dtype_of(n))
        found = e.where(e.less_equal(total, n), e.add(found, 1.0), found)
        return s.getitem(pair, 1), e.add(total, e.ceil(e.divide(e.log(u), slope))), found

    zeros = c.zeros_like(n)
    found = control.while_loop(lambda _, total, __: r.any(e.less_equal(total, n)), step, (key, zeros, zeros))[2]
    return e.subtract(found, 1.0)


def _transformed_rejection(key, n, q):
    """Hormann's algorithm BTRS, for `n * q` of at least 10 and `q` of at most 1/2."""
    spread = e.sqrt(e.multiply(e.multiply(n, q), e.subtract(1.0, q)))
    width = e.add(1.15, e.multiply(2.53, spread))
    slant = e.add(e.add(-0.0873, e.multiply(0.0248, width)), e.multiply(0.01, q))
    centre = e.add(e.multiply(n, q), 0.5)
    inner = e.subtract(0.92, e.divide(4.2, width))
    odds = e.divide(q, e.subtract(1.0, q))
    scale = e.multiply(e.add(2.83, e.divide(5.1, width)), spread)
    mode = e.floor(e.multiply(e.add(n, 1.0), q))
    rest = e.add(e.subtract(n, mode), 1.0)  # n - mode + 1
    at_mode = e.add(
        e.multiply(e.add(mode, 0.5), e.log(e.divide(e.add(mode, 1.0), e.multiply(odds, rest)))),
        e.add(_stirling_tail(mode), _stirling_tail(e.subtract(n, mode))),
    )

    def step(key, out, done):
        keys = split(key, 3)
        u, v = (uniform(s.getitem(keys, i), c.shape(n), dtype_of(n)) for i in (1, 2))
        u = e.subtract(u, 0.5)
        edge = e.subtract(0.5, e.abs(u))
        near = e.logical_and(e.greater_equal(edge, 0.07), e.less_equal(v, inner))
        k = e.floor(e.add(e.multiply(e.add(e.divide(e.multiply(2.0, slant), edge), width), u), centre))
        inside = e.logical_and(e.greater_equal(k, 0.0), e.less_equal(k, n))
        left = e.add(e.subtract(n, k), 1.0)  # n - k + 1
        ratio = e.multiply(e.add(n, 1.0), e.log(e.divide(rest, left)))
        ratio = e.add(ratio, e.multiply(e.add(k, 0.5), e.log(e.divide(e.multiply(odds, left), e.add(k, 1.0)))))
        bound = e.subtract(e.add(at_mode, ratio), e.add(_stirling_tail(k), _stirling_tail(e.subtract(n, k))))
        height = e.log(e.divide(e.multiply(v, scale), e.add(e.divide(slant, e.multiply(edge, edge)), width)))
        taken = e.logical_or(near, e.logical_and(inside, e.less_equal(height, bound)))
        return s.getitem(keys, 0), e.where(taken, k, out), e.logical_or(done, taken)

    start = (key, e.subtract(c.zeros_like(n), 1.0), c.zeros_like(n, "bool"))
    return control.while_loop(lambda _, __, done: r.any(e.logical_not(done)), step, start)[1]


_TAILS = np.array([
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
], "float32")  # fmt: skip


def _stirling_tail(k):
    """`log(k!)` less Stirling's formula at `k + 1`: a table up to 9, a series above."""
    square = e.multiply(e.add(k, 1.0), e.add(k, 1.0))
    series = e.subtract(1.0 / 360, e.divide(1.0 / 1260, square))
    series = e.divide(e.subtract(1.0 / 12, e.divide(series, square)), e.add(k, 1.0))
    small = c.cast(e.clip(k, 0.0, 9.0), "int32")
    return e.where(e.less_equal(k, 9.0), c.cast(s.take(_TAILS, small), dtype_of(k)), series)
