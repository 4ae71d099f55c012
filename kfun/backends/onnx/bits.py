"""Bits and whole numbers on ONNX."""

from __future__ import annotations

from collections.abc import Callable

from kfun.backends.onnx.promotion import binary, unary
from kfun.backends.onnx.value import Value, as_value, cast, emit


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
    "bitwise_and": binary("BitwiseAnd", logical="And"),
    "bitwise_or": binary("BitwiseOr", logical="Or"),
    "bitwise_xor": binary("BitwiseXor", logical="Xor"),
    "bitwise_not": unary(lambda x: emit("Not" if x.dtype == "bool" else "BitwiseNot", x), floating=False),
    "bitwise_left_shift": binary(_shift("LEFT")),
    "bitwise_right_shift": binary(_shift_right),
}
