"""Inverses, linear systems and determinants on ONNX."""

from __future__ import annotations

from typing import Any

from kfun.backends.common.matrices import checked
from kfun.backends.graphs import formulas as formulas
from kfun.backends.onnx import shaping
from kfun.backends.onnx.value import as_value, cast, emit, promoted


def _single(*operands: Any) -> str:
    """The type to compute in: at least float32, for which there are kernels."""
    dtype = promoted(*operands, floating=True)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def inv(x):
    return cast(formulas.inverse(as_value(x, _single(x))), promoted(x, floating=True))


def solve(a, b):
    dtype = _single(a, b)
    a, columns = as_value(a, dtype), as_value(b, dtype)
    vector = columns.ndim == 1
    columns = shaping.expand_dims(columns, -1) if vector else columns
    x = cast(formulas.solved(formulas.inverse(a), a, columns), promoted(a, b, floating=True))
    return shaping.squeeze(x, -1) if vector else x


def solve_triangular(a, b, lower=False):
    return solve(shaping.RULES["tril" if lower else "triu"](a), b)


def det(x):
    return cast(emit("Det", as_value(x, _single(x))), promoted(x, floating=True))


RULES = {
    **checked({"inv": inv, "solve": solve, "solve_triangular": solve_triangular, "det": det}),
}
