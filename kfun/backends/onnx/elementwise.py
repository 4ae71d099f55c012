"""Elementwise arithmetic on ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable

from kfun import dtypes
from kfun.backends.graphs import formulas as formulas
from kfun.backends.onnx.operators import floor_divide_integers, remainder_integers
from kfun.backends.onnx.promotion import binary, truth, unary
from kfun.backends.onnx.value import Value, as_value, cast, dtype_of, emit, promoted
from kfun.ops._dispatch import OPS


def _by_type(integer: Callable, floating: Callable) -> Callable:
    return binary(lambda x, y: (integer if dtypes.is_integer(x.dtype) else floating)(x, y))


def _mod_floats(x: Value, y: Value) -> Value:
    """C's fmod has the sign of `x`: it is moved by one `y` where the signs differ."""
    rest, zero = emit("Mod", x, y, fmod=1), as_value(0, x.dtype)
    signs_differ = emit("Xor", emit("Less", rest, zero), emit("Less", y, zero))
    moved = emit("And", emit("Not", emit("Equal", rest, zero)), signs_differ)
    return emit("Where", moved, emit("Add", rest, y), rest)


def _negative(x: Value) -> Value:
    return emit("Sub", as_value(0, x.dtype), x) if x.dtype.startswith("uint") else emit("Neg", x)


def _arctan2(y: Value, x: Value) -> Value:
    return formulas.arctan2(y, x, lambda ratio: emit("Atan", ratio))


def round_(x, decimals=0):
    x = as_value(x)
    if not dtypes.is_float(x.dtype) and decimals >= 0:
        return x
    wide = cast(x, promoted(x, floating=True))
    if decimals == 0:
        return emit("Round", wide)
    scale = as_value(10.0 ** abs(decimals), wide.dtype)  # a power of ten below 1 is not exact
    there, back = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
    return cast(emit(back, emit("Round", emit(there, wide, scale)), scale), x.dtype)


def _whole(op: str) -> Callable:
    """floor and ceil leave integers as they are."""

    def rule(x):
        x = as_value(x)
        return emit(op, x) if dtypes.is_float(x.dtype) else x

    return rule


def _test(make: Callable, of_integers: bool) -> Callable:
    """isnan and its like: the answer for integers is known."""

    def rule(x):
        x = as_value(x)
        if dtypes.is_float(x.dtype):
            return make(x)
        same = emit("Equal", x, x)
        return same if of_integers else emit("Not", same)

    return rule


def _finite(x: Value) -> Value:
    return emit("Less", emit("Abs", x), as_value(math.inf, x.dtype))


def power(x1, x2):
    dtype = promoted(x1, x2)
    x1 = as_value(x1, dtype)
    if type(x2) is int and x2 == 2:
        return emit("Mul", x1, x1)
    wide = dtype if dtype in ("int32", "int64") or dtypes.is_float(dtype) else "int64"
    wide = "float32" if dtype == "bfloat16" else wide
    return cast(emit("Pow", cast(x1, wide), as_value(x2, wide)), dtype)


def _logical(op: str) -> Callable:
    return lambda *xs: emit(op, *map(truth, xs))


def where(condition, x1, x2):
    dtype = promoted(x1, x2)
    return emit("Where", truth(condition), as_value(x1, dtype), as_value(x2, dtype))


def clip(x, x_min, x_max):
    bounds = (x_min, x_max)
    if dtypes.is_float(dtype_of(x)) and all(type(b) in (int, float) for b in bounds):
        dtype = promoted(x)
        return emit("Clip", as_value(x), as_value(x_min, dtype), as_value(x_max, dtype))
    return OPS["clip"].body(x, x_min, x_max)


def _abs(x):
    return as_value(x) if dtype_of(x) == "bool" else emit("Abs", as_value(x))


def _different(x: Value, y: Value) -> Value:
    return emit("Not", emit("Equal", x, y))


RULES = {
    "add": binary("Add", logical="Or"),
    "subtract": binary("Sub"),
    "multiply": binary("Mul", logical="And"),
    "divide": binary("Div", floating=True),
    "floor_divide": _by_type(floor_divide_integers, lambda x, y: emit("Floor", emit("Div", x, y))),
    "mod": _by_type(remainder_integers, _mod_floats),
    "power": power,
    "maximum": binary("Max", logical="Or"),
    "minimum": binary("Min", logical="And"),
    "arctan2": binary(_arctan2, floating=True),
    "negative": unary(_negative, floating=False),
    "abs": _abs,
    "sign": unary("Sign", floating=False),
    "exp": unary("Exp"),
    "expm1": unary(formulas.expm1),
    "log": unary("Log"),
    "log1p": unary(formulas.log1p),
    "sqrt": unary("Sqrt"),
    "rsqrt": unary(lambda x: emit("Reciprocal", emit("Sqrt", x))),
    "sin": unary("Sin"),
    "cos": unary("Cos"),
    "tanh": unary("Tanh"),
    "erf": unary("Erf"),
    "erfinv": unary(formulas.erfinv),
    "floor": _whole("Floor"),
    "ceil": _whole("Ceil"),
    "round": round_,
    "isnan": _test(lambda x: emit("IsNaN", x), False),
    "isinf": _test(lambda x: emit("IsInf", x), False),
    "isfinite": _test(_finite, True),
    "equal": binary("Equal"),
    "not_equal": binary(_different),
    "less": binary("Less"),
    "less_equal": binary("LessOrEqual"),
    "greater": binary("Greater"),
    "greater_equal": binary("GreaterOrEqual"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_not": _logical("Not"),
    "where": where,
    "clip": clip,
    "fmod": binary(lambda x, y: emit("Mod", x, y, fmod=1)),
}
