"""Random numbers from explicit, counter-based keys: the same key gives the same bits on every backend.

A key is an array of two uint32 (threefry, as in JAX). `bits`, `uniform`, `bernoulli`, `randint`,
`split`, `fold_in`, `permutation`, `shuffle` and `dropout` agree bit for bit between backends;
`normal`, `truncated_normal`, `categorical`, `gamma`, `beta` and `binomial` within rounding. The
numbers are those of `jax.random`.
"""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.random_basis import bernoulli as bernoulli
from kfun.random_basis import bits as bits
from kfun.random_basis import categorical as categorical
from kfun.random_basis import dropout as dropout
from kfun.random_basis import fold_in as fold_in
from kfun.random_basis import key as key
from kfun.random_basis import normal as normal
from kfun.random_basis import permutation as permutation
from kfun.random_basis import randint as randint
from kfun.random_basis import shuffle as shuffle
from kfun.random_basis import split as split
from kfun.random_basis import split_each as split_each
from kfun.random_basis import truncated_normal as truncated_normal
from kfun.random_basis import uniform as uniform
from kfun.random_rejection import beta as beta
from kfun.random_rejection import binomial as binomial
from kfun.random_rejection import gamma as gamma

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
