"""Elementwise arithmetic on OpenVINO. The ops keep the storage order of their operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.formulas import ERFINV_CENTRAL, ERFINV_TAIL
from kfun.backends.openvino.operators import floor_divide_integers, remainder_integers
from kfun.backends.openvino.promotion import binary, broadcasting, scalar_like, truth, unary
from kfun.backends.openvino.value import Value, as_value, cast, dtype_of, promoted
from kfun.ops._dispatch import OPS


def _by_type(integer: Callable, floating: Callable, logical: Callable | None = None) -> Callable:
    def rule(x1, x2):
        dtype = promoted(x1, x2)
        make = logical if dtype == "bool" and logical else integer if dtypes.is_integer(dtype) else floating
        return broadcasting(make, (x1, x2), dtype)

    return rule


def _extreme(make: Callable) -> Callable:
    """The CPU gives its second operand where either is NaN: NaNs of the first are put back."""

    def both(x, y):
        return o.select(o.is_nan(x), x, make(x, y))

    def rule(x1, x2):
        dtype = promoted(x1, x2)
        if dtype == "bool":
            return broadcasting(o.logical_or if make is o.maximum else o.logical_and, (x1, x2), dtype)
        if _finite(x2):
            x1, x2 = x2, x1
        quiet = not dtypes.is_float(dtype) or _finite(x1)
        return broadcasting(make if quiet else both, (x1, x2), dtype)

    return rule


def _finite(x: Any) -> bool:
    data = x.constant if isinstance(x, Value) else None if not isinstance(x, (int, float)) else x
    return data is not None and not np.isnan(np.asarray(data, np.float64)).any()


def _floor_divide_floats(x, y):
    return o.floor(o.divide(x, y))


def _log1p(x):
    """log(u) * x / (u - 1) with u = 1 + x: the rounding errors of u cancel (HP-15C handbook, 1982).

    The maximum is u; it keeps OpenVINO from making a SoftPlus of log(1 + exp), which is less accurate.
    """
    one = scalar_like(1.0, x)
    u = o.add(one, x).output(0)
    moved = o.subtract(u, one)
    small = o.logical_or(o.equal(moved, scalar_like(0.0, x)), o.is_inf(u))
    return o.select(small, x, o.multiply(o.log(o.maximum(u, x)), o.divide(x, moved)))


def _expm1(x):
    """(u - 1) * x / log(u) with u = exp(x): the rounding errors of u cancel."""
    one = scalar_like(1.0, x)
    u = o.exp(x).output(0)
    moved = o.subtract(u, one)
    accurate = o.multiply(moved, o.divide(x, o.log(u)))
    far = o.logical_or(o.is_inf(u), o.equal(moved, scalar_like(-1.0, x)))
    return o.select(o.equal(moved, scalar_like(0.0, x)), x, o.select(far, moved, accurate))


def _erf(x):
    """The CPU's erf has an absolute error of 2e-7: near 0 the Taylor series keeps the relative one small."""
    squared = o.multiply(x, x)
    series = scalar_like(1 / 216, x)
    for coefficient in (-1 / 42, 1 / 10, -1 / 3, 1.0):
        series = o.add(o.multiply(series, squared), scalar_like(coefficient, x))
    near = o.multiply(o.multiply(series, x), scalar_like(2 / math.sqrt(math.pi), x))
    return o.select(o.less(o.abs(x), scalar_like(0.25, x)), near, o.erf(x))


def _erfinv(x):
    w = o.negative(_log1p(o.negative(o.multiply(x, x)).output(0)))
    central = _polynomial(ERFINV_CENTRAL, o.subtract(w, scalar_like(2.5, x)), x)
    tail = _polynomial(ERFINV_TAIL, o.subtract(o.sqrt(w), scalar_like(3.0, x)), x)
    value = o.multiply(o.select(o.less(w, scalar_like(5.0, x)), central, tail), x)
    ends = o.equal(o.abs(x), scalar_like(1.0, x))
    return o.select(ends, o.multiply(x, scalar_like(math.inf, x)), value)


def _polynomial(coefficients: Sequence[float], at: Any, like: Any) -> Any:
    total = scalar_like(coefficients[0], like)
    for c in coefficients[1:]:
        total = o.add(o.multiply(total, at), scalar_like(c, like))
    return total


def _arctan2(y, x):
    """The arctangent of the smaller over the larger side, moved to the octant of the point."""
    zero, pi = scalar_like(0.0, x), scalar_like(math.pi, x)
    wide, high = o.abs(x), o.abs(y)
    steep = o.greater(high, wide)
    short, long = o.select(steep, wide, high), o.select(steep, high, wide)
    both_infinite = o.logical_and(o.is_inf(x), o.is_inf(y))
    level = o.logical_or(o.equal(long, zero), both_infinite)
    ratio = o.divide(short, o.select(level, scalar_like(1.0, x), long))
    ratio = o.select(both_infinite, scalar_like(1.0, x), ratio)
    angle = o.atan(ratio)
    angle = o.select(steep, o.subtract(scalar_like(math.pi / 2, x), angle), angle)
    angle = o.select(_below_zero(x), o.subtract(pi, angle), angle)
    return o.select(_below_zero(y), o.negative(angle), angle)


def _below_zero(x):
    """Whether the sign bit is set, -0.0 included: 1 / -0.0 is minus infinity."""
    zero = scalar_like(0.0, x)
    return o.logical_or(o.less(x, zero), o.less(o.divide(scalar_like(1.0, x), x), zero))


def round_(x, decimals=0):
    x = as_value(x)
    if not dtypes.is_float(x.dtype) and decimals >= 0:
        return cast(x, promoted(x))

    def make(v):
        if decimals == 0:
            return o.round(v, "half_to_even")
        scale = scalar_like(10.0 ** abs(decimals), v)  # a power of ten below 1 is not exact
        there, back = (o.multiply, o.divide) if decimals > 0 else (o.divide, o.multiply)
        return back(o.round(there(v, scale), "half_to_even"), scale)

    return cast(broadcasting(make, (x,), promoted(x, floating=True)), x.dtype)


def _whole(make: Callable) -> Callable:
    """floor and ceil leave integers as they are."""

    def rule(x):
        return broadcasting(make, (x,), promoted(x)) if dtypes.is_float(promoted(x)) else as_value(x)

    return rule


def _test(make: Callable, of_integers: bool) -> Callable:
    """isnan and its like: the answer for integers is known."""

    def rule(x):
        if dtypes.is_float(promoted(x)):
            return broadcasting(make, (x,), promoted(x))
        return broadcasting(lambda v: o.equal(v, v) if of_integers else o.not_equal(v, v), (x,), promoted(x))

    return rule


def _power(x1, x2):
    dtype = promoted(x1, x2)
    if type(x2) is int and x2 == 2:
        return broadcasting(lambda v: o.multiply(v, v), (x1,), dtype)
    return broadcasting(o.power, (x1, x2), dtype)


def _logical(make: Callable) -> Callable:
    return lambda *xs: broadcasting(make, [truth(x) for x in xs], "bool")


def where(condition, x1, x2):
    dtype = promoted(x1, x2)
    return broadcasting(o.select, (truth(condition), x1, x2), ("bool", dtype, dtype))


def clip(x, x_min, x_max):
    bounds = (x_min, x_max)
    if dtypes.is_float(dtype_of(x)) and all(type(b) in (int, float) for b in bounds) and x_min <= x_max:
        return broadcasting(lambda v: o.clamp(v, float(x_min), float(x_max)), (x,), promoted(x, x_min, x_max))
    return OPS["clip"].body(x, x_min, x_max)


def _abs(x):
    return as_value(x) if dtype_of(x).startswith("uint") else broadcasting(o.abs, (x,), promoted(x))


def fmod(x1, x2):
    if dtypes.is_float(promoted(x1, x2)):
        return broadcasting(o.mod, (x1, x2), promoted(x1, x2))
    return OPS["fmod"].body(x1, x2)  # the CPU's remainder of integers is computed in float32


RULES = {
    "add": _by_type(o.add, o.add, o.logical_or),
    "subtract": binary(o.subtract),
    "multiply": _by_type(o.multiply, o.multiply, o.logical_and),
    "divide": binary(o.divide, floating=True),
    "floor_divide": _by_type(floor_divide_integers, _floor_divide_floats),
    "mod": _by_type(remainder_integers, o.floor_mod),
    "power": _power,
    "maximum": _extreme(o.maximum),
    "minimum": _extreme(o.minimum),
    "arctan2": binary(_arctan2, floating=True),
    "squared_difference": binary(lambda x, y: o.multiply(d := o.subtract(x, y).output(0), d)),
    "negative": unary(o.negative, floating=False),
    "abs": _abs,
    "sign": unary(o.sign, floating=False),
    "exp": unary(o.exp),
    "expm1": unary(_expm1),
    "log": unary(o.log),
    "log1p": unary(_log1p),
    "sqrt": unary(o.sqrt),
    "rsqrt": unary(lambda x: o.divide(scalar_like(1.0, x), o.sqrt(x))),
    "sin": unary(o.sin),
    "cos": unary(o.cos),
    "tanh": unary(o.tanh),
    "erf": unary(_erf),
    "erfinv": unary(_erfinv),
    "floor": _whole(o.floor),
    "ceil": _whole(o.ceil),
    "round": round_,
    "isnan": _test(o.is_nan, False),
    "isinf": _test(o.is_inf, False),
    "isfinite": _test(o.is_finite, True),
    "equal": binary(o.equal),
    "not_equal": binary(o.not_equal),
    "less": binary(o.less),
    "less_equal": binary(o.less_equal),
    # The CPU finds NaN greater than anything, but never less.
    "greater": binary(lambda x, y: o.less(y, x)),
    "greater_equal": binary(lambda x, y: o.less_equal(y, x)),
    "logical_and": _logical(o.logical_and),
    "logical_or": _logical(o.logical_or),
    "logical_not": _logical(o.logical_not),
    "where": where,
    "clip": clip,
    "fmod": fmod,
}
