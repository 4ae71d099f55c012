"""Elementwise ops and activations on OpenVINO. They keep the storage order of their operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends._openvino_value import (
    Value,
    as_value,
    axes_of,
    cast,
    constant,
    dtype_of,
    first_of,
    floor_divide_integers,
    native,
    output_of,
    promoted,
    remainder_integers,
    stored_axis,
)
from kfun.ops._dispatch import OPS


def elementwise(make: Callable, operands: Sequence[Any], dtype: Any) -> Value:
    """`make(*outputs)` of operands that broadcast, stored as the first of them that is a deferred one.

    Args:
        make: takes graph outputs of one storage order, gives a node.
        operands: values, sizes, weak arrays.
        dtype: their type, or one for each.
    """
    types = [dtype] * len(operands) if isinstance(dtype, str) else dtype
    values = [as_value(x, d) for x, d in zip(operands, types, strict=True)]
    rank = max(x.ndim for x in values)
    if any(x.deferred and x.ndim == rank for x in values):
        return Value(first=make(*[first_of(x, rank) for x in values]))
    return Value(make(*[x.output for x in values]))


def _scalar(x: float, like: Any) -> Any:
    return constant(x, Value(like).dtype).output


def _binary(make: Callable, floating: bool = False) -> Callable:
    def rule(x1, x2):
        return elementwise(make, (x1, x2), promoted(x1, x2, floating=floating))

    return rule


def _unary(make: Callable, floating: bool = True) -> Callable:
    def rule(x):
        return elementwise(make, (x,), promoted(x, floating=floating))

    return rule


def _by_type(integer: Callable, floating: Callable) -> Callable:
    def rule(x1, x2):
        dtype = promoted(x1, x2)
        return elementwise(integer if dtypes.is_integer(dtype) else floating, (x1, x2), dtype)

    return rule


def _extreme(make: Callable) -> Callable:
    """The CPU gives its second operand where either is NaN: NaNs of the first are put back."""

    def both(x, y):
        return o.select(o.is_nan(x), x, make(x, y))

    def rule(x1, x2):
        dtype = promoted(x1, x2)
        if dtype == "bool":
            return elementwise(o.logical_or if make is o.maximum else o.logical_and, (x1, x2), dtype)
        if _finite(x2):
            x1, x2 = x2, x1
        quiet = not dtypes.is_float(dtype) or _finite(x1)
        return elementwise(make if quiet else both, (x1, x2), dtype)

    return rule


def _finite(x: Any) -> bool:
    data = x.constant if isinstance(x, Value) else None if not isinstance(x, (int, float)) else x
    return data is not None and not np.isnan(np.asarray(data, np.float64)).any()


def _floor_divide_floats(x, y):
    return o.floor(o.divide(x, y))


def _log1p(x):
    """log(u) * x / (u - 1) with u = 1 + x: the rounding errors of u cancel (HP-15C handbook, 1982)."""
    one = _scalar(1.0, x)
    u = o.add(one, x).output(0)
    moved = o.subtract(u, one)
    small = o.logical_or(o.equal(moved, _scalar(0.0, x)), o.is_inf(u))
    return o.select(small, x, o.multiply(o.log(u), o.divide(x, moved)))


def _expm1(x):
    """(u - 1) * x / log(u) with u = exp(x): the rounding errors of u cancel."""
    one = _scalar(1.0, x)
    u = o.exp(x).output(0)
    moved = o.subtract(u, one)
    accurate = o.multiply(moved, o.divide(x, o.log(u)))
    far = o.logical_or(o.is_inf(u), o.equal(moved, _scalar(-1.0, x)))
    return o.select(o.equal(moved, _scalar(0.0, x)), x, o.select(far, moved, accurate))


def _erf(x):
    """The CPU's erf has an absolute error of 2e-7: near 0 the Taylor series keeps the relative one small."""
    squared = o.multiply(x, x)
    series = _scalar(1 / 216, x)
    for coefficient in (-1 / 42, 1 / 10, -1 / 3, 1.0):
        series = o.add(o.multiply(series, squared), _scalar(coefficient, x))
    near = o.multiply(o.multiply(series, x), _scalar(2 / math.sqrt(math.pi), x))
    return o.select(o.less(o.abs(x), _scalar(0.25, x)), near, o.erf(x))


# Giles, "Approximating the erfinv function" (2010), table 5: the central and the tail polynomial.
_CENTRAL = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def _erfinv(x):
    w = o.negative(_log1p(o.negative(o.multiply(x, x)).output(0)))
    central = _polynomial(_CENTRAL, o.subtract(w, _scalar(2.5, x)), x)
    tail = _polynomial(_TAIL, o.subtract(o.sqrt(w), _scalar(3.0, x)), x)
    value = o.multiply(o.select(o.less(w, _scalar(5.0, x)), central, tail), x)
    ends = o.equal(o.abs(x), _scalar(1.0, x))
    return o.select(ends, o.multiply(x, _scalar(math.inf, x)), value)


def _polynomial(coefficients: Sequence[float], at: Any, like: Any) -> Any:
    total = _scalar(coefficients[0], like)
    for c in coefficients[1:]:
        total = o.add(o.multiply(total, at), _scalar(c, like))
    return total


def _arctan2(y, x):
    """The arctangent of the smaller over the larger side, moved to the octant of the point."""
    zero, pi = _scalar(0.0, x), _scalar(math.pi, x)
    wide, high = o.abs(x), o.abs(y)
    steep = o.greater(high, wide)
    short, long = o.select(steep, wide, high), o.select(steep, high, wide)
    both_infinite = o.logical_and(o.is_inf(x), o.is_inf(y))
    level = o.logical_or(o.equal(long, zero), both_infinite)
    ratio = o.divide(short, o.select(level, _scalar(1.0, x), long))
    ratio = o.select(both_infinite, _scalar(1.0, x), ratio)
    angle = o.atan(ratio)
    angle = o.select(steep, o.subtract(_scalar(math.pi / 2, x), angle), angle)
    angle = o.select(_below_zero(x), o.subtract(pi, angle), angle)
    return o.select(_below_zero(y), o.negative(angle), angle)


def _below_zero(x):
    """Whether the sign bit is set, -0.0 included: 1 / -0.0 is minus infinity."""
    zero = _scalar(0.0, x)
    return o.logical_or(o.less(x, zero), o.less(o.divide(_scalar(1.0, x), x), zero))


def round_(x, decimals=0):
    x = as_value(x)
    if not dtypes.is_float(x.dtype) and decimals >= 0:
        return cast(x, promoted(x))

    def make(v):
        if decimals == 0:
            return o.round(v, "half_to_even")
        scale = _scalar(10.0**decimals, v)
        return o.divide(o.round(o.multiply(v, scale), "half_to_even"), scale)

    return cast(elementwise(make, (x,), promoted(x, floating=True)), x.dtype)


def _whole(make: Callable) -> Callable:
    """floor and ceil leave integers as they are."""

    def rule(x):
        return elementwise(make, (x,), promoted(x)) if dtypes.is_float(promoted(x)) else as_value(x)

    return rule


def _test(make: Callable, of_integers: bool) -> Callable:
    """isnan and its like: the answer for integers is known."""

    def rule(x):
        if dtypes.is_float(promoted(x)):
            return elementwise(make, (x,), promoted(x))
        return elementwise(lambda v: o.equal(v, v) if of_integers else o.not_equal(v, v), (x,), promoted(x))

    return rule


def _power(x1, x2):
    dtype = promoted(x1, x2)
    if x2 == 2 and type(x2) is int:
        return elementwise(lambda v: o.multiply(v, v), (x1,), dtype)
    return elementwise(o.power, (x1, x2), dtype)


def truth(x: Any) -> Value:
    """`x != 0` as bool."""
    x = as_value(x)
    return x if x.dtype == "bool" else elementwise(lambda v: o.not_equal(v, _scalar(0, v)), (x,), x.dtype)


def _logical(make: Callable) -> Callable:
    return lambda *xs: elementwise(make, [truth(x) for x in xs], "bool")


def where(condition, x1, x2):
    dtype = promoted(x1, x2)
    return elementwise(o.select, (truth(condition), x1, x2), ("bool", dtype, dtype))


def clip(x, x_min, x_max):
    bounds = (x_min, x_max)
    if dtypes.is_float(dtype_of(x)) and all(type(b) in (int, float) for b in bounds) and x_min <= x_max:
        return elementwise(lambda v: o.clamp(v, float(x_min), float(x_max)), (x,), promoted(x, x_min, x_max))
    return OPS["clip"].body(x, x_min, x_max)


def cast_rule(x, dtype):
    name = dtypes.name(dtype)
    return truth(x) if name == "bool" else cast(as_value(x), name)


def _abs(x):
    return as_value(x) if dtype_of(x).startswith("uint") else elementwise(o.abs, (x,), promoted(x))


def _only_floats(name: str, make: Callable) -> Callable:
    """A native activation for floats, the derived body for integers."""

    def rule(x, *args, **kwargs):
        if not dtypes.is_float(dtype_of(x)):
            return OPS[name].body(x, *args, **kwargs)
        return elementwise(lambda v: make(v, *args, **kwargs), (x,), promoted(x))

    return rule


def _leaky_relu(x, negative_slope=0.2):
    return o.prelu(x, _scalar(negative_slope, x))


def _gelu(x, approximate=True):
    return o.gelu(x, "tanh" if approximate else "erf")


def _elu(x, alpha=1.0):
    return o.elu(x, alpha)


def _selu(x):
    return o.selu(x, _scalar(1.6732632423543772, x), _scalar(1.0507009873554805, x))


def _along_axis(make: Callable, name: str) -> Callable:
    def rule(x, axis=-1):
        x = as_value(x, promoted(x, floating=True))
        axes = axes_of(axis, x.ndim)
        if len(axes) != 1:
            return OPS[name].body(x, axis)
        if x.deferred:
            return Value(first=make(x.first, stored_axis(axes[0], x.ndim)))
        return Value(make(x.output, axes[0]))

    return rule


def sigmoid(x):
    return elementwise(o.sigmoid, (x,), promoted(x, floating=True))


RULES = {
    "add": _by_type(o.add, o.add),
    "subtract": _binary(o.subtract),
    "multiply": _binary(o.multiply),
    "divide": _binary(o.divide, floating=True),
    "floor_divide": _by_type(floor_divide_integers, _floor_divide_floats),
    "mod": _by_type(remainder_integers, o.floor_mod),
    "power": _power,
    "maximum": _extreme(o.maximum),
    "minimum": _extreme(o.minimum),
    "arctan2": _binary(_arctan2, floating=True),
    "squared_difference": _binary(lambda x, y: o.multiply(d := o.subtract(x, y).output(0), d)),
    "negative": _unary(o.negative, floating=False),
    "abs": _abs,
    "sign": _unary(o.sign, floating=False),
    "exp": _unary(o.exp),
    "expm1": _unary(_expm1),
    "log": _unary(o.log),
    "log1p": _unary(_log1p),
    "sqrt": _unary(o.sqrt),
    "rsqrt": _unary(lambda x: o.divide(_scalar(1.0, x), o.sqrt(x))),
    "sin": _unary(o.sin),
    "cos": _unary(o.cos),
    "tanh": _unary(o.tanh),
    "erf": _unary(_erf),
    "erfinv": _unary(_erfinv),
    "floor": _whole(o.floor),
    "ceil": _whole(o.ceil),
    "round": round_,
    "isnan": _test(o.is_nan, False),
    "isinf": _test(o.is_inf, False),
    "isfinite": _test(o.is_finite, True),
    "equal": _binary(o.equal),
    "not_equal": _binary(o.not_equal),
    "less": _binary(o.less),
    "less_equal": _binary(o.less_equal),
    "greater": _binary(o.greater),
    "greater_equal": _binary(o.greater_equal),
    "logical_and": _logical(o.logical_and),
    "logical_or": _logical(o.logical_or),
    "logical_not": _logical(o.logical_not),
    "where": where,
    "clip": clip,
    "cast": cast_rule,
    "relu": _only_floats("relu", o.relu),
    "relu6": _only_floats("relu6", lambda x: o.clamp(x, 0.0, 6.0)),
    "leaky_relu": _only_floats("leaky_relu", _leaky_relu),
    "sigmoid": sigmoid,
    "softplus": _unary(o.softplus),
    "softsign": _unary(o.softsign),
    "silu": _unary(o.swish),
    "hard_sigmoid": _unary(o.hsigmoid),
    "hard_silu": _unary(o.hswish),
    "elu": _only_floats("elu", _elu),
    "selu": _only_floats("selu", _selu),
    "gelu": _only_floats("gelu", _gelu),
    "mish": _unary(o.mish),
    "softmax": _along_axis(o.softmax, "softmax"),
    "log_softmax": _along_axis(o.log_softmax, "log_softmax"),
}
