"""Special functions and bits on ONNX."""

from __future__ import annotations

from collections.abc import Callable

from kfun.backends.onnx.elementwise import binary, unary
from kfun.backends.onnx.kernels import runs
from kfun.backends.onnx.value import Value, as_value, cast, emit, promoted
from kfun.ops._dispatch import OPS

_TRIGONOMETRY = {"tan": "Tan", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh"}
_TRIGONOMETRY |= {"arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh"}


def _in_float32(name: str, op: str) -> Callable:
    """The native function where onnxruntime has it, which is not for float64."""

    def rule(x):
        x = as_value(x, promoted(x, floating=True))
        return OPS[name].body(x) if x.dtype == "float64" and not runs(op, x.dtype) else emit(op, x)

    return rule


def _unsigned(x: Value) -> str:
    """The type of the same bits that the kernels of shifts take."""
    return {"int8": "uint8", "uint8": "uint8", "int64": "uint64", "uint64": "uint64"}.get(x.dtype, "uint32")


def _shift(direction: str) -> Callable:
    def shift(x: Value, by: Value) -> Value:
        kind = _unsigned(x)
        return cast(emit("BitShift", cast(x, kind), cast(by, kind), direction=direction), x.dtype)

    return shift


def _shift_right(x: Value, by: Value) -> Value:
    """The sign moves in from the left: the bits of a negative number are shifted inverted."""
    shift = _shift("RIGHT")
    if x.dtype.startswith("uint"):
        return shift(x, by)
    below = emit("Less", x, as_value(0, x.dtype))
    bits = shift(emit("Where", below, emit("BitwiseNot", x), x), by)
    return emit("Where", below, emit("BitwiseNot", bits), bits)


RULES = {
    **{name: _in_float32(name, op) for name, op in _TRIGONOMETRY.items()},
    "fmod": binary(lambda x, y: emit("Mod", x, y, fmod=1)),
    "bitwise_and": binary("BitwiseAnd", logical="And"),
    "bitwise_or": binary("BitwiseOr", logical="Or"),
    "bitwise_xor": binary("BitwiseXor", logical="Xor"),
    "bitwise_not": unary(lambda x: emit("Not" if x.dtype == "bool" else "BitwiseNot", x), floating=False),
    "bitwise_left_shift": binary(_shift("LEFT")),
    "bitwise_right_shift": binary(_shift_right),
}
