"""Products on ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kfun.backends.graphs.graph_rules import explicit
from kfun.backends.onnx.value import as_value, emit, promoted


def matmul(x1, x2):
    dtype = promoted(x1, x2)
    x1, x2 = as_value(x1, dtype), as_value(x2, dtype)
    if x1.ndim == 0 or x2.ndim == 0:
        raise ValueError(f"ops.matmul: expected operands with at least one axis; received {x1!r} and {x2!r}")
    inner = x1.shape[-1], x2.shape[0 if x2.ndim == 1 else -2]
    if all(isinstance(n, int) for n in inner) and inner[0] != inner[1]:
        raise ValueError(f"ops.matmul: the inner sizes differ: {x1!r} and {x2!r}")
    return emit("MatMul", x1, x2)


def einsum(subscripts, *operands):
    dtype = promoted(*operands)
    values = [as_value(x, dtype) for x in operands]
    equation = explicit(subscripts)
    return emit("Einsum", *values, equation=equation, shape=_einsum_shape(equation, [x.shape for x in values]))


def _einsum_shape(equation: str, shapes: Sequence[tuple]) -> list | None:
    """The sizes of a result; ONNX infers no more than their number. None for those of an Ellipsis."""
    left, right = equation.split("->")
    sizes: dict[str, Any] = {}
    wide = 0
    for term, shape in zip(left.split(","), shapes, strict=True):
        before, dots, after = term.partition("...")
        wide = max(wide, len(shape) - len(before) - len(after)) if dots else wide
        ends = [*zip(before, shape, strict=False), *zip(after, shape[len(shape) - len(after) :], strict=True)]
        for letter, size in ends:
            if not isinstance(sizes.get(letter), int) or sizes[letter] == 1:
                sizes[letter] = size
    before, dots, after = right.partition("...")
    return [sizes[c] for c in before] + [None] * (wide if dots else 0) + [sizes[c] for c in after]


RULES = {
    "matmul": matmul,
    "einsum": einsum,
}
