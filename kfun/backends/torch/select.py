"""Selection and scattering on torch."""

from __future__ import annotations

import math

import torch

from kfun.backends.torch.arrays import HALF, cast, native, widen
from kfun.backends.torch.shaping import wrap
from kfun.ops._like import refuse_sparse

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


def cumprod(x, axis=None, dtype=None):
    out = x.dtype if dtype is None else native(dtype)
    out = torch.int32 if out is torch.bool else out
    wide = torch.float32 if out in HALF else torch.int64 if out in (torch.uint16, torch.uint32) else out
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return cast(torch.cumprod(x, axis, dtype=wide), out)


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    refuse_sparse("one_hot", sparse)
    hot = x.unsqueeze(-1) == torch.arange(num_classes, device=x.device)
    return hot.movedim(-1, axis).to(native(dtype or "float32"))


RULES = {
    "one_hot": one_hot,
    "scatter_update": scatter_update,
    "cumprod": cumprod,
    "nonzero": lambda x: tuple(i.to(torch.int32) for i in torch.nonzero(x, as_tuple=True)),
}
