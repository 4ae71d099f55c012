"""Special functions on ONNX."""

from __future__ import annotations

from collections.abc import Callable

from kfun.backends.onnx.kernels import runs
from kfun.backends.onnx.value import as_value, emit, promoted
from kfun.ops._dispatch import OPS

_TRIGONOMETRY = {"tan": "Tan", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh"}
_TRIGONOMETRY |= {"arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh"}


def _in_float32(name: str, op: str) -> Callable:
    """The native function where onnxruntime has it, which is not for float64."""

    def rule(x):
        x = as_value(x, promoted(x, floating=True))
        return OPS[name].body(x) if x.dtype == "float64" and not runs(op, x.dtype) else emit(op, x)

    return rule


RULES = {
    **{name: _in_float32(name, op) for name, op in _TRIGONOMETRY.items()},
}
