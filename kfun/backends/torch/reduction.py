"""Reductions on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import HALF, cast, floating, native, widen


def cumprod(x, axis=None, dtype=None):
    out = x.dtype if dtype is None else native(dtype)
    out = torch.int32 if out is torch.bool else out
    wide = torch.float32 if out in HALF else torch.int64 if out in (torch.uint16, torch.uint32) else out
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return cast(torch.cumprod(x, axis, dtype=wide), out)


def _summed_type(dtype):
    """Sums of small integers are of 32 bits, of the same sign."""
    if dtype in (torch.uint8, torch.uint16):
        return torch.uint32
    return torch.int32 if dtype in (torch.bool, torch.int8, torch.int16) else dtype


def _reduced(f, x, axis, keepdims):
    """`f(x, axes, keepdims)` with `axis` as a tuple; PyTorch takes an empty one for all axes."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if not axes and x.ndim:
        return f(x.unsqueeze(-1), (-1,), False)
    return f(x, axes, keepdims)


def sum_(x, axis=None, keepdims=False):
    if x.dtype is torch.float32 and type(axis) is int:  # the common case, without the detours
        return torch.sum(x, axis, keepdims)
    out = _summed_type(x.dtype)
    wide = torch.int64 if out is torch.uint32 else out
    return cast(_reduced(lambda x, a, k: torch.sum(x, a, keepdim=k, dtype=wide), widen(x), axis, keepdims), out)


def prod(x, axis=None, keepdims=False):
    def each(x, axes, keep):
        for a in sorted((a % x.ndim for a in axes), reverse=True):
            x = torch.prod(x, a, keepdim=keep, dtype=wide)
        return x

    out = _summed_type(x.dtype)
    wide = torch.int64 if out is torch.uint32 else torch.float32 if out in HALF else out
    return cast(_reduced(each, widen(x) if x.ndim else widen(x).to(wide), axis, keepdims), out)


def mean(x, axis=None, keepdims=False):
    if x.dtype is torch.float32 and type(axis) is int:
        return torch.mean(x, axis, keepdims)
    x = floating(x)
    wide = torch.float32 if x.dtype in HALF else x.dtype
    return cast(_reduced(lambda x, a, k: torch.mean(x, a, keepdim=k, dtype=wide), x, axis, keepdims), x.dtype)


def var(x, axis=None, keepdims=False):
    x = floating(x)
    wide = x.to(torch.float32) if x.dtype in HALF else x
    return cast(_reduced(lambda x, a, k: torch.var(x, a, correction=0, keepdim=k), wide, axis, keepdims), x.dtype)


def _extreme(f):
    def rule(x, axis=None, keepdims=False):
        return cast(_reduced(lambda x, a, k: f(x, a, keepdim=k), widen(x), axis, keepdims), x.dtype)

    return rule


def _truth(f):
    def rule(x, axis=None, keepdims=False):
        return _reduced(lambda x, a, k: f(x, a, keepdim=k), x != 0, axis, keepdims)

    return rule


def _index_of(f):
    def rule(x, axis=None, keepdims=False):
        x = x.to(torch.uint8) if x.dtype is torch.bool else widen(x)
        if axis is None and keepdims:
            return f(x).to(torch.int32).reshape((1,) * x.ndim)
        return f(x, axis, keepdim=keepdims).to(torch.int32)

    return rule


def cumsum(x, axis=None, dtype=None):
    if axis is None:
        x, axis = x.reshape(-1), 0
    out = x.dtype if dtype is None else native(dtype)
    out = torch.int32 if out is torch.bool else out
    wide = torch.int64 if out in (torch.uint16, torch.uint32) else out
    return cast(torch.cumsum(x, axis, dtype=wide), out)


def logsumexp(x, axis=None, keepdims=False):
    return _reduced(lambda x, a, k: torch.logsumexp(x, a, keepdim=k), floating(x), axis, keepdims)


RULES = {
    "cumprod": cumprod,
    "sum": sum_,
    "prod": prod,
    "mean": mean,
    "var": var,
    "max": _extreme(torch.amax),
    "min": _extreme(torch.amin),
    "any": _truth(torch.any),
    "all": _truth(torch.all),
    "argmax": _index_of(torch.argmax),
    "argmin": _index_of(torch.argmin),
    "cumsum": cumsum,
    "logsumexp": logsumexp,
}
