"""Normalization on PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from kfun.ops import normalization


def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None):
    epsilon = normalization.EPSILON if epsilon is None else epsilon
    if not isinstance(x, torch.Tensor) or not x.dtype.is_floating_point:
        return normalization.layer_normalization.op.body(x, gamma, beta, axis, epsilon)
    axes = sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis))
    last = list(range(x.ndim - len(axes), x.ndim))
    moved = x if axes == last else x.movedim(axes, last)
    sizes = moved.shape[-len(axes) :]
    given = [None if p is None else p.reshape(sizes) for p in (gamma, beta)]
    if any(p is not None and p.dtype is not x.dtype for p in given):
        moved = moved.to(torch.float32) if x.dtype.itemsize < 4 else moved
        given = [None if p is None else p.to(moved.dtype) for p in given]
    out = F.layer_norm(moved, sizes, *given, eps=epsilon).to(x.dtype)
    return out if axes == last else out.movedim(last, axes)


RULES = {
    "layer_normalization": layer_normalization,
}
