"""Elementwise arithmetic on PyTorch."""

from __future__ import annotations

import operator

import torch

from kfun.backends.common.promotion import promoting
from kfun.backends.torch.arrays import FLOATING, PAIRS, PLAIN, cast, of_floats, of_integers, widen


def _keep_scalars(value, dtype):
    """PyTorch's own scalars are weak too, so those of a lower category need no tensor."""
    return cast(value, dtype) if isinstance(value, torch.Tensor) else value


def _binary(f, pairs=PAIRS, scalar=cast):
    """A rule of two operands; `scalar` casts one, or leaves it if `f` takes Python scalars."""

    def wide(x1, x2):
        out = f(widen(x1), widen(x2))
        return out.to((x1 if isinstance(x1, torch.Tensor) else x2).dtype) if out.dtype is torch.int64 else out

    rule, narrow = promoting(f, pairs, scalar), promoting(wide, pairs, scalar)
    lacking = (torch.uint16, torch.uint32)

    def either(x1, x2):
        first, second = getattr(x1, "dtype", None), getattr(x2, "dtype", None)
        if first is second and first in PLAIN:
            return f(x1, x2)
        if torch.uint64 in (first, second):
            raise TypeError("PyTorch computes nothing with uint64: cast it to int64 or float64 with ops.cast first")
        return narrow(x1, x2) if first in lacking or second in lacking else rule(x1, x2)

    return either


def _arithmetic(f, pairs=PAIRS):
    return _binary(f, pairs, _keep_scalars)


def _unary(f):
    """Of functions that keep the type."""

    def rule(x):
        wide = widen(x)
        return f(x) if wide is x else f(wide).to(x.dtype)

    return rule


def _whole(f):
    """Of rounding functions, which leave integers as they are."""
    return lambda x: f(x) if x.dtype.is_floating_point else x


def _truth(f, of_integers):
    """Of `isnan` and the like, whose answer for integers is known."""

    def rule(x):
        if x.dtype.is_floating_point or x.dtype.is_complex:
            return f(x)
        return torch.full_like(x, of_integers, dtype=torch.bool)

    return rule


def sign(x):
    if x.dtype.is_floating_point:  # PyTorch has 0 for NaN
        return torch.where(torch.isnan(x), x, torch.sign(x))
    return torch.sign(x)


def abs_(x):
    return torch.abs(x) if x.dtype.is_signed else x


def round_(x, decimals=0):
    if not x.dtype.is_floating_point:
        return torch.round(x.double(), decimals=decimals).to(x.dtype) if decimals < 0 else x
    return torch.round(x, decimals=decimals)


def where(condition, x1, x2):
    try:
        plain = condition.dtype is torch.bool and x1.dtype is x2.dtype
    except AttributeError:  # a Python number
        plain = False
    if plain:
        return torch.where(condition, x1, x2)
    return torch.where(cast(condition, torch.bool), *_together(x1, x2))


def clip(x, x_min, x_max):
    return minimum(maximum(x, x_min), x_max)


_together = promoting(lambda x1, x2: (x1, x2), PAIRS, cast)
maximum, minimum = _binary(torch.maximum), _binary(torch.minimum)
_MATH = "exp expm1 log log1p sqrt rsqrt sin cos tanh erf erfinv"

RULES = {
    "add": _arithmetic(operator.add),
    "subtract": _arithmetic(operator.sub),
    "multiply": _arithmetic(operator.mul),
    "divide": _arithmetic(operator.truediv, FLOATING),
    "floor_divide": _arithmetic(operator.floordiv),
    "mod": _arithmetic(operator.mod),
    "power": _arithmetic(operator.pow),
    "equal": _arithmetic(operator.eq),
    "not_equal": _arithmetic(operator.ne),
    "less": _arithmetic(operator.lt),
    "less_equal": _arithmetic(operator.le),
    "greater": _arithmetic(operator.gt),
    "greater_equal": _arithmetic(operator.ge),
    "maximum": maximum,
    "minimum": minimum,
    "arctan2": _binary(torch.arctan2, FLOATING),
    "logaddexp": _binary(torch.logaddexp, FLOATING),
    "logical_and": _binary(torch.logical_and),
    "logical_or": _binary(torch.logical_or),
    "logical_not": lambda x: torch.logical_not(widen(x)),
    "where": where,
    "clip": clip,
    "negative": _unary(torch.neg),
    "sign": _unary(sign),
    "abs": abs_,
    "round": round_,
    **{name: _whole(getattr(torch, name)) for name in ("floor", "ceil")},
    **{name: of_floats(getattr(torch, name)) for name in _MATH.split(" ")},
    "isnan": _truth(torch.isnan, False),
    "isinf": _truth(torch.isinf, False),
    "isfinite": _truth(torch.isfinite, True),
    "fmod": of_integers(torch.fmod),
    "signbit": torch.signbit,
}
