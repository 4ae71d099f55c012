"""Products on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun.backends.graphs.graph_rules import explicit
from kfun.backends.openvino.value import Value, as_value, output_of, promoted


def matmul(x1, x2):
    dtype = promoted(x1, x2)
    x1, x2 = as_value(x1, dtype), as_value(x2, dtype)
    if x1.ndim == 0 or x2.ndim == 0:
        raise ValueError(f"ops.matmul: expected operands with at least one axis; received {x1!r} and {x2!r}")
    inner = x1.shape[-1], x2.shape[0 if x2.ndim == 1 else -2]
    if all(isinstance(n, int) for n in inner) and inner[0] != inner[1]:
        raise ValueError(f"ops.matmul: the inner sizes differ: {x1!r} and {x2!r}")
    return Value(o.matmul(x1.output, x2.output, False, False))


def einsum(subscripts, *operands):
    dtype = promoted(*operands)
    return Value(o.einsum([output_of(x, dtype) for x in operands], explicit(subscripts)))


RULES = {
    "matmul": matmul,
    "einsum": einsum,
}
