"""Elementwise arithmetic and activations on PyTorch."""

from __future__ import annotations

import operator

import torch
from torch.nn import functional as F

from kfun.backends._promotion import promoting
from kfun.backends._torch_array import FLOATING, NATIVE, PAIRS, cast, floating, native_of, widen


def _keep_scalars(value, dtype):
    """PyTorch's own scalars are weak too, so those of a lower category need no tensor."""
    return cast(value, dtype) if isinstance(value, torch.Tensor) else value


def _arithmetic(f, pairs=PAIRS):
    """Of functions that take Python scalars on either side."""

    def narrow(x1, x2):
        wide = f(widen(x1), widen(x2))
        if wide.dtype is not torch.int64:  # a comparison
            return wide
        return wide.to((x1 if isinstance(x1, torch.Tensor) else x2).dtype)

    return _either(promoting(f, pairs, _keep_scalars), promoting(narrow, pairs, _keep_scalars))


def _of_tensors(f, pairs=PAIRS):
    """Of functions that take tensors only."""

    def narrow(x1, x2):
        wide = f(widen(x1), widen(x2))
        return wide.to(x1.dtype) if wide.dtype is torch.int64 else wide

    return _either(promoting(f, pairs, cast), promoting(narrow, pairs, cast))


def _either(rule, narrow):
    """PyTorch has no arithmetic of uint16 and uint32: those compute in int64."""
    lacking = (torch.uint16, torch.uint32)

    def either(x1, x2):
        if getattr(x1, "dtype", None) in lacking or getattr(x2, "dtype", None) in lacking:
            return narrow(x1, x2)
        return rule(x1, x2)

    return either


def _unary(f):
    """Of functions that keep the type."""

    def rule(x):
        wide = widen(x)
        return f(x) if wide is x else f(wide).to(x.dtype)

    return rule


def _floating(f):
    return lambda x: f(floating(x))


def _multiply(x1, x2):
    return x1 * x2


def _power(x1, x2):
    if isinstance(x2, int) and isinstance(x1, torch.Tensor) and x1.dtype is torch.bool:
        x1 = x1.to(torch.int32)
    return x1**x2


def _sign(x):
    if x.dtype.is_floating_point:
        return torch.where(torch.isnan(x), x, torch.sign(x))
    return torch.sign(x)


def _abs(x):
    return x if x.dtype is torch.bool or not x.dtype.is_signed else torch.abs(x)


def _whole(f):
    """Of rounding functions, which leave integers as they are."""
    return lambda x: f(x) if x.dtype.is_floating_point else x


def round_(x, decimals=0):
    return torch.round(x, decimals=decimals) if x.dtype.is_floating_point else x


def _truth(f):
    """Of isnan and the like, whose answer for integers is known."""
    return lambda x: f(x) if x.dtype.is_floating_point or x.dtype.is_complex else torch.full_like(x, f is torch.isfinite, dtype=torch.bool)


def where(condition, x1, x2):
    if not isinstance(condition, torch.Tensor):
        condition = torch.tensor(condition)
    if condition.dtype is not torch.bool:
        condition = condition != 0
    return _select(x1, x2)(condition)


def _select(x1, x2):
    dtype = PAIRS[x1.dtype if isinstance(x1, torch.Tensor) else type(x1), x2.dtype if isinstance(x2, torch.Tensor) else type(x2)]
    return lambda condition: torch.where(condition, cast(x1, dtype), cast(x2, dtype))


def clip(x, x_min, x_max):
    return minimum(maximum(x, x_min), x_max)


def logical_not(x):
    return torch.logical_not(widen(x))


def softplus(x):
    return torch.logaddexp(x, torch.zeros((), dtype=x.dtype, device=x.device))


maximum, minimum = _of_tensors(torch.maximum), _of_tensors(torch.minimum)
