"""Random numbers on PyTorch, each one custom operator."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import NAMES, cast, native
from kfun.backends.torch.draws import checked_key, draw, draw_by


def _draw(method, key, shape, dtype, low=0.0, high=1.0, data=None, limits=()):
    shape = [shape] if isinstance(shape, int) else [int(s) for s in shape]
    data = checked_key(key)[0] if data is None else data.to(key.device)
    return draw(key, data, low, high, list(limits), method, shape, dtype)


def fold_in(key, data):
    data = data.to(torch.int64) if isinstance(data, torch.Tensor) else torch.tensor(int(data))
    return _draw("fold_in", checked_key(key), (2,), "uint32", data=(data & 0xFFFFFFFF).to(torch.uint32))


def _floats(method, key, shape, dtype, low=0.0, high=1.0):
    return _draw(method, key, shape, NAMES[native(dtype)], float(low), float(high))


def uniform(key, shape=(), dtype="float32", minval=0.0, maxval=1.0):
    if not isinstance(minval, torch.Tensor) and not isinstance(maxval, torch.Tensor):
        return _floats("uniform", key, shape, dtype, minval, maxval)
    draws = _floats("uniform", key, shape, dtype, 0.0, 1.0)  # scaled here, for broadcasting and gradients
    low, high = cast(minval, draws.dtype), cast(maxval, draws.dtype)
    return torch.maximum(draws * (high - low) + low, low)


def normal(key, shape=(), dtype="float32"):
    return _floats("normal", key, shape, dtype)


def truncated_normal(key, shape=(), dtype="float32", lower=-2.0, upper=2.0):
    return _floats("truncated_normal", key, shape, dtype, lower, upper)


def randint(key, shape, minval, maxval, dtype="int32"):
    limits = [min(max(int(bound), -(2**63)), 2**63 - 1) for bound in (minval, maxval)]
    return _draw("randint", key, shape, NAMES[native(dtype)], limits=limits)


def split_each(keys, num=2):
    return draw_by(keys, keys, keys, "split_each", 0, [keys.shape[0], num, 2], "uint32")


RULES = {
    "random_split": lambda key, num=2: _draw("split", key, (num, 2), "uint32"),
    "random_fold_in": fold_in,
    "random_bits": lambda key, shape=(): _draw("bits", key, shape, "uint32"),
    "random_uniform": uniform,
    "random_normal": normal,
    "random_truncated_normal": truncated_normal,
    "random_randint": randint,
    "random_permutation": lambda key, n: _draw("permutation", key, (n,), "int32"),
    "random_split_each": split_each,
}
