"""Bits and whole numbers on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun.backends.openvino.promotion import binary, unary

RULES = {
    "bitwise_and": binary(o.bitwise_and),
    "bitwise_or": binary(o.bitwise_or),
    "bitwise_xor": binary(o.bitwise_xor),
    "bitwise_not": unary(o.bitwise_not, floating=False),
    "bitwise_left_shift": binary(o.bitwise_left_shift),
    "bitwise_right_shift": binary(o.bitwise_right_shift),
}
