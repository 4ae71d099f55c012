"""Random numbers from explicit, counter-based keys: the same key gives the same bits on every backend.

A key is an array of two uint32 (threefry, as in JAX). `bits`, `uniform`, `bernoulli`, `randint`,
`split`, `fold_in` and `permutation` agree bit for bit between backends; `normal`, `truncated_normal`
and `categorical` within rounding.
"""

from __future__ import annotations

import numpy as np

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops._dispatch import Array, DType, Scalar, derived, primitive


def key(seed: int):
    """A key from an integer seed, on the default backend: `[seed >> 32, seed & 0xffffffff]`."""
    seed = int(seed)
    return c.convert_to_tensor(np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32))


@primitive(name="random_split")
def split(key: Array, num: int = 2) -> Array:
    """`num` independent keys, `[num, 2]`."""


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
