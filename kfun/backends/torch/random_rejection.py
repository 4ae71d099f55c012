"""Random numbers by rejection on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import NAMES, convert, native
from kfun.backends.torch.draws import checked_key, draw_by


def _drawn(method, key, parameters, shape, dtype):
    parameters = [convert(p).detach() for p in parameters]
    parameters = [p if p.dtype is torch.float64 else p.to(torch.float32) for p in parameters]
    if shape is None:
        shape = torch.broadcast_shapes(*(p.shape for p in parameters))
    shape = [shape] if isinstance(shape, int) else list(shape)
    first, second = (p.expand(shape) for p in (parameters[0], parameters[-1]))
    return draw_by(checked_key(key), first, second, method, 0, shape, NAMES[native(dtype)])


RULES = {
    "random_gamma": lambda key, alpha, shape=None, dtype="float32": _drawn("gamma", key, [alpha], shape, dtype),
    "random_beta": lambda key, alpha, beta, shape=None, dtype="float32": _drawn(
        "beta", key, [alpha, beta], shape, dtype
    ),
    "random_binomial": lambda key, counts, probabilities, shape=None, dtype="float32": _drawn(
        "binomial", key, [counts, probabilities], shape, dtype
    ),
}
