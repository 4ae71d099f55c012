"""Random numbers of a `seed`: an int, or a `SeedGenerator` for different ones at each call."""

from __future__ import annotations

from typing import Any

from compat._unknown import unknown_names_of
from compat.core.seeds import SeedGenerator as SeedGenerator
from compat.core.seeds import key_of as _key
from kfun import ops as _ops
from kfun import random as _kfun


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal with a mean and a standard deviation."""
    return _ops.add(_ops.multiply(_kfun.normal(_key(seed), tuple(shape), dtype or "float32"), stddev), mean)


def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniform in `[minval, maxval)`."""
    return _kfun.uniform(_key(seed), tuple(shape), dtype or "float32", minval, maxval)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal, redrawn beyond two standard deviations."""
    draws = _kfun.truncated_normal(_key(seed), tuple(shape), dtype or "float32")
    return _ops.add(_ops.multiply(draws, stddev), mean)


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Uniform integers in `[minval, maxval)`."""
    return _kfun.randint(_key(seed), tuple(shape), minval, maxval, dtype)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """`num_samples` indices for each row of `[B, C]` logits, with probability `softmax(logits)`."""
    logits = _ops.convert_to_tensor(logits)
    rows, classes = _ops.shape(logits)
    wide = _ops.broadcast_to(_ops.expand_dims(logits, 1), (rows, num_samples, classes))
    return _ops.cast(_kfun.categorical(_key(seed), wide, -1), dtype)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Sets elements to 0 with probability `rate` and scales the others by `1 / (1 - rate)`."""
    shape = tuple(noise_shape) if noise_shape is not None else _ops.shape(inputs)
    kept = _kfun.bernoulli(_key(seed), 1.0 - rate, shape)
    return _ops.where(kept, _ops.divide(inputs, 1.0 - rate), _ops.zeros_like(inputs))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The elements along an axis in random order."""
    x = _ops.convert_to_tensor(x)
    return _ops.take(x, _kfun.permutation(_key(seed), x.shape[axis]), axis)


__getattr__ = unknown_names_of(globals())
