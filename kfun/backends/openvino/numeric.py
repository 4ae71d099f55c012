"""Special functions and bits on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.openvino.elementwise import binary, elementwise, unary
from kfun.backends.openvino.value import promoted
from kfun.ops._dispatch import OPS

_NATIVE = {
    "tan": o.tan,
    "arcsin": o.asin,
    "arccos": o.acos,
    "arctan": o.atan,
    "sinh": o.sinh,
    "cosh": o.cosh,
    "arcsinh": o.asinh,
    "arccosh": o.acosh,
    "arctanh": o.atanh,
}


def fmod(x1, x2):
    if dtypes.is_float(promoted(x1, x2)):
        return elementwise(o.mod, (x1, x2), promoted(x1, x2))
    return OPS["fmod"].body(x1, x2)  # the CPU's remainder of integers is computed in float32


RULES = {
    **{name: unary(make) for name, make in _NATIVE.items()},
    "fmod": fmod,
    "bitwise_and": binary(o.bitwise_and),
    "bitwise_or": binary(o.bitwise_or),
    "bitwise_xor": binary(o.bitwise_xor),
    "bitwise_not": unary(o.bitwise_not, floating=False),
    "bitwise_left_shift": binary(o.bitwise_left_shift),
    "bitwise_right_shift": binary(o.bitwise_right_shift),
}
