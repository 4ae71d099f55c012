"""Scattering on PyTorch."""

from __future__ import annotations

import math

import torch

from kfun.backends.torch.arrays import HALF, cast, widen
from kfun.backends.torch.shaping import wrap

_REDUCTIONS = {"max": "amax", "min": "amin", "mul": "prod"}


def scatter_update(inputs, indices, updates, reduction=None):
    """Sums by `index_put`; the other reductions know one axis, so the leading axes become one."""
    if reduction not in (None, "add", *_REDUCTIONS):
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    depth = indices.shape[-1]
    places = [wrap(indices[..., i], inputs.shape[i]) for i in range(depth)]
    x, updates = (_computed(v) for v in (inputs, cast(updates, inputs.dtype)))
    if reduction in (None, "add"):
        return cast(x.index_put(tuple(places), updates, reduction == "add"), inputs.dtype)
    place = torch.zeros_like(indices[..., 0], dtype=torch.int64)
    for index, size in zip(places, x.shape, strict=False):
        place = place * size + index
    rows = x.reshape(math.prod(x.shape[:depth]), *x.shape[depth:])
    updates = updates.reshape(place.numel(), *rows.shape[1:])
    place = place.reshape(-1, *(1,) * (rows.ndim - 1)).expand(updates.shape)
    return cast(rows.scatter_reduce(0, place, updates, _REDUCTIONS[reduction]), inputs.dtype).reshape(inputs.shape)


def _computed(x):
    """Half precision as float32, bools and types with few kernels as wider integers."""
    if x.dtype in HALF:
        return x.to(torch.float32)
    return x.to(torch.uint8) if x.dtype is torch.bool else widen(x)


RULES = {
    "scatter_update": scatter_update,
}
