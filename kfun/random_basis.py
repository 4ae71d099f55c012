"""The random numbers that all others are made of: keys, bits, uniform, normal, permutations, choices."""

from __future__ import annotations

import math

import numpy as np

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, DType, Scalar, derived, primitive


def key(seed: int):
    """A key from an integer seed, on the default backend: `[seed >> 32, seed & 0xffffffff]`."""
    seed = int(seed)
    return c.convert_to_tensor(np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32))


@primitive(name="random_split")
def split(key: Array, num: int = 2) -> Array:
    """`num` independent keys, `[num, 2]`."""


@primitive(name="random_split_each")
def split_each(keys: Array, num: int = 2) -> Array:
    """`num` independent keys of each of the keys `[N, 2]`: `[N, num, 2]`."""


@primitive(name="random_fold_in")
def fold_in(key: Array, data: Scalar) -> Array:
    """A key that differs for each integer `data`."""


@primitive(name="random_bits")
def bits(key: Array, shape=()) -> Array:
    """Uniform uint32."""


@primitive(name="random_uniform")
def uniform(key: Array, shape=(), dtype: DType = "float32", minval: Scalar = 0.0, maxval: Scalar = 1.0) -> Array:
    """Uniform in `[minval, maxval)`."""


@primitive(name="random_normal")
def normal(key: Array, shape=(), dtype: DType = "float32") -> Array:
    """Standard normal."""


@primitive(name="random_truncated_normal")
def truncated_normal(key: Array, shape=(), dtype: DType = "float32", lower: float = -2.0, upper: float = 2.0) -> Array:
    """Standard normal given that it falls in `(lower, upper)`."""


@primitive(name="random_randint")
def randint(key: Array, shape, minval: Scalar, maxval: Scalar, dtype: DType = "int32") -> Array:
    """Uniform integers in `[minval, maxval)`."""


@primitive(name="random_permutation")
def permutation(key: Array, n: int) -> Array:
    """The numbers 0 to n - 1 in random order, int32."""


@derived(name="random_bernoulli")
def bernoulli(key: Array, p: Scalar = 0.5, shape=()) -> Array:
    """True with probability `p`."""
    return e.less(uniform(key, shape), p)


@derived(name="random_categorical")
def categorical(key: Array, logits: Array, axis=-1) -> Array:
    """An index along `axis` with probability `softmax(logits)`, by the Gumbel trick; int32."""
    draws = uniform(key, c.shape(logits), "float32", 1.1754944e-38, 1.0)
    return r.argmax(e.subtract(logits, e.log(e.negative(e.log(draws)))), axis)


@derived(name="random_shuffle")
def shuffle(key: Array, x: Array, axis=0) -> Array:
    """The elements along `axis` in random order, another one for each place of the other axes.

    Sorts by random words, so often that two elements are unlikely to meet equal words every time.
    """
    size = math.prod(c.shape(x))
    for _ in range(math.ceil(3 * math.log(max(1, size)) / math.log(2**32 - 1))):
        pair = split(key)
        order = s.argsort(bits(s.getitem(pair, 1), c.shape(x)), axis)
        key, x = s.getitem(pair, 0), s.take_along_axis(x, order, axis)
    return x


@derived(name="random_dropout")
def dropout(key: Array, inputs: Array, rate: float, noise_shape=None) -> Array:
    """Elements set to 0 with probability `rate`, the others divided by `1 - rate`.

    Args:
        key: a key.
        inputs: floating.
        rate: in [0, 1].
        noise_shape: the shape of the choices, broadcast to that of `inputs`; None, also for one of
            its sizes, is that of `inputs`.

    Raises:
        ValueError: if `rate` is out of range.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"random.dropout: expected a rate in [0, 1]; received {rate}")
    if rate == 0:
        return inputs
    zeros = c.zeros_like(inputs)
    if rate == 1:
        return zeros
    sizes = c.shape(inputs)
    if noise_shape is not None:
        sizes = tuple(given if size is None else size for size, given in zip(noise_shape, sizes, strict=True))
    return e.where(e.less(uniform(key, sizes), 1.0 - rate), e.divide(inputs, 1.0 - rate), zeros)
