"""Integer division, and Python's operators on graph values and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfun.backends.graphs.graph_rules import install_operators
from kfun.backends.onnx.value import Dim, Value, as_value, cast, dim_of, emit


def floor_divide_integers(x: Value, y: Value) -> Value:
    """`floor(x / y)`: ONNX's Div truncates, so a remainder of the other sign takes one away."""
    divisor, traps = _divisor(y)
    quotient = emit("Div", x, divisor)
    if x.dtype.startswith("uint"):
        return quotient
    rest = emit("Sub", x, emit("Mul", quotient, divisor))
    zero = as_value(0, x.dtype)
    signs_differ = emit("Xor", emit("Less", rest, zero), emit("Less", divisor, zero))
    below = emit("And", emit("Not", emit("Equal", rest, zero)), signs_differ)
    found = emit("Sub", quotient, cast(below, x.dtype))
    if not traps:
        return found
    return emit("Where", emit("Equal", y, as_value(-1, y.dtype)), emit("Sub", zero, x), found)


def remainder_integers(x: Value, y: Value) -> Value:
    """`x - y * floor(x / y)`, as ONNX's Mod gives it."""
    return emit("Mod", x, _divisor(y)[0])


def _divisor(y: Value) -> tuple[Value, bool]:
    """`y` with 1 in the place of 0 and -1, and whether it may hold those.

    onnxruntime (1.31) stops a run that divides by 0, even where the result is not used, and the
    process dies of the least integer divided by -1.
    """
    if y.constant is not None and y.constant.all() and not (y.constant == -1).any():
        return y, False
    traps = emit("Equal", y, as_value(0, y.dtype))
    if not y.dtype.startswith("uint"):
        traps = emit("Or", traps, emit("Equal", y, as_value(-1, y.dtype)))
    return emit("Where", traps, as_value(1, y.dtype), y), True


def _size(compute: Callable) -> Callable:
    def method(x: Any, y: Any) -> Dim:
        return dim_of(compute(*(s.vector if isinstance(s, Dim) else as_value([int(s)], "int64") for s in (x, y))))

    return method


install_operators(
    Value,
    Dim,
    {
        "add": _size(lambda x, y: emit("Add", x, y)),
        "sub": _size(lambda x, y: emit("Sub", x, y)),
        "mul": _size(lambda x, y: emit("Mul", x, y)),
        "floordiv": _size(floor_divide_integers),
        "mod": _size(remainder_integers),
    },
)
