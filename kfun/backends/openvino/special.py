"""Special functions on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun.backends.openvino.promotion import unary

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

RULES = {
    **{name: unary(make) for name, make in _NATIVE.items()},
}
