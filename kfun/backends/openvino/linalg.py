"""Inverses and linear systems on OpenVINO."""

from __future__ import annotations

from typing import Any

from openvino import opset16 as o

from kfun.backends.common.matrices import checked
from kfun.backends.openvino import elementwise, products, shaping
from kfun.backends.openvino.value import Value, as_value, cast, promoted


def _single(*operands: Any) -> str:
    """The type to compute in: at least float32, which the CPU has kernels for."""
    dtype = promoted(*operands, floating=True)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def inv(x):
    return cast(Value(o.inverse(as_value(x, _single(x)).output, False)), promoted(x, floating=True))


def solve(a, b):
    """By the inverse; one step of refinement takes back what that loses in accuracy."""
    dtype = _single(a, b)
    a, columns = as_value(a, dtype), as_value(b, dtype)
    vector = columns.ndim == 1
    columns = shaping.expand_dims(columns, -1) if vector else columns
    inverse = inv(a)
    x = products.matmul(inverse, columns)
    rest = elementwise.RULES["subtract"](columns, products.matmul(a, x))
    x = cast(elementwise.RULES["add"](x, products.matmul(inverse, rest)), promoted(a, b, floating=True))
    return shaping.squeeze(x, -1) if vector else x


def solve_triangular(a, b, lower=False):
    return solve(shaping.RULES["tril" if lower else "triu"](a), b)


RULES = {
    **checked({"inv": inv, "solve": solve, "solve_triangular": solve_triangular}),
}
