"""Random numbers of a `seed`: an int, or a `SeedGenerator` for different ones at each call; None is the global one."""

from __future__ import annotations

from typing import Any

from compat.config import floatx as _floatx
from compat.variables.seeds import SeedGenerator as SeedGenerator
from compat.variables.seeds import key_of as _key
from kfun import dtypes as _dtypes
from kfun import ops as _ops
from kfun import random as _kfun


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal with a mean and a standard deviation."""
    return _ops.add(_ops.multiply(_kfun.normal(_key(seed), tuple(shape), dtype or _floatx()), stddev), mean)


def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniform in `[minval, maxval)`; raises ValueError unless `dtype` is floating."""
    if dtype is not None and not _dtypes.is_float(_dtypes.name(dtype)):
        raise ValueError(f"random.uniform: expected a floating type; received {dtype!r}: use random.randint")
    return _kfun.uniform(_key(seed), tuple(shape), dtype or _floatx(), minval, maxval)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal, redrawn beyond two standard deviations."""
    draws = _kfun.truncated_normal(_key(seed), tuple(shape), dtype or _floatx())
    return _ops.add(_ops.multiply(draws, stddev), mean)


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Uniform integers in `[minval, maxval)`; raises ValueError unless `dtype` is an integer type."""
    if dtype is not None and not _dtypes.is_integer(_dtypes.name(dtype)):
        raise ValueError(f"random.randint: expected an integer type; received {dtype!r}: use random.uniform")
    return _kfun.randint(_key(seed), tuple(shape), minval, maxval, dtype or "int32")


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """`num_samples` indices for each row of `[B, C]` logits, with probability `softmax(logits)`."""
    logits = _ops.convert_to_tensor(logits)
    if len(logits.shape) != 2:
        raise ValueError(f"random.categorical: expected logits [B, C]; received shape {tuple(logits.shape)}")
    rows, classes = _ops.shape(logits)
    wide = _ops.broadcast_to(_ops.expand_dims(logits, 2), (rows, classes, num_samples))
    return _ops.cast(_kfun.categorical(_key(seed), wide, 1), dtype)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Sets elements to 0 with probability `rate` and scales the others by `1 / (1 - rate)`."""
    if rate == 0:
        return inputs  # without taking a number from a generator, as in Keras
    return _kfun.dropout(_key(seed), inputs, rate, None if noise_shape is None else tuple(noise_shape))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The elements along an axis in random order, another one for each place of the other axes."""
    return _kfun.shuffle(_key(seed), x, axis)


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Gamma distributed with the concentration `alpha`, a number or an array."""
    return _kfun.gamma(_key(seed), alpha, tuple(shape), dtype or _floatx())


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Beta distributed with the concentrations `alpha` and `beta`, numbers or arrays."""
    return _kfun.beta(_key(seed), alpha, beta, tuple(shape), dtype or _floatx())


def binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """How many of `counts` trials succeed, each with one of `probabilities`; both numbers or arrays."""
    return _kfun.binomial(_key(seed), counts, probabilities, tuple(shape), dtype or _floatx())
