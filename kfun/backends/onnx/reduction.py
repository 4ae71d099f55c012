"""Reductions, products and attention on ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from kfun import dtypes
from kfun.backends.graphs.graph_rules import accumulator, axes_of, explicit
from kfun.backends.onnx import elementwise as e
from kfun.backends.onnx import shaping as s
from kfun.backends.onnx.value import Value, as_value, cast, emit, integers, known_size, promoted
from kfun.ops._attention import check_heads, no_fused_kernel


def _reduce(op: str, x: Value, axis: Any, keepdims: bool) -> Value:
    axes = axes_of(axis, x.ndim)
    return emit(op, x, integers(axes), keepdims=int(keepdims)) if axes else x


def _total(op: str) -> Callable:
    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        return _reduce(op, cast(x, accumulator(x.dtype)), axis, keepdims)

    return rule


def _floating(op: str) -> Callable:
    return lambda x, axis=None, keepdims=False: _reduce(op, as_value(x, promoted(x, floating=True)), axis, keepdims)


def _extreme(op: str) -> Callable:
    """onnxruntime passes over NaN: it is put where there is one."""

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        top = _reduce(op, x, axis, keepdims)
        if not dtypes.is_float(x.dtype):
            return top
        spoiled = RULES["any"](emit("IsNaN", x), axis, keepdims)
        return emit("Where", spoiled, as_value(math.nan, x.dtype), top)

    return rule


def _quantifier(op: str) -> Callable:
    """Over uint8, because onnxruntime has no extreme of no bools."""

    def rule(x, axis=None, keepdims=False):
        return cast(_reduce(op, cast(e.truth(x), "uint8"), axis, keepdims), "bool")

    return rule


def cumsum(x, axis=None, dtype=None):
    x = as_value(x)
    x = cast(x, dtype or ("int32" if x.dtype == "bool" else x.dtype))
    if axis is None:
        x, axis = s.reshape(x, (-1,)), 0
    return emit("CumSum", x, as_value(axes_of([axis], x.ndim)[0], "int64"))


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


def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
):
    check_heads(query, key, value)
    if flash_attention:
        raise no_fused_kernel("ONNX has none before opset 23")
    dtype = promoted(query, key, value)
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    query, key, value = (as_value(x, wide) for x in (query, key, value))
    heads, shared, size = (
        known_size(n, "the number and size of heads") for n in (query.shape[2], key.shape[2], query.shape[3])
    )
    groups = heads // shared
    if groups > 1:
        key, value = s.repeat(key, groups, 2), s.repeat(value, groups, 2)
    query = emit("Mul", query, as_value(size**-0.5 if scale is None else scale, wide))
    logits = emit("MatMul", s.transpose(query, (0, 2, 1, 3)), s.transpose(key, (0, 2, 3, 1)))  # [B, N, T, S]
    if attn_logits_soft_cap is not None:
        cap = as_value(attn_logits_soft_cap, wide)
        logits = emit("Mul", emit("Tanh", emit("Div", logits, cap)), cap)
    if bias is not None:
        logits = e.RULES["add"](logits, bias)
    if is_causal:
        rows = s.expand_dims(s.arange(query.shape[1]), 1)
        seen = e.RULES["greater_equal"](rows, s.expand_dims(s.arange(key.shape[1]), 0))
        mask = seen if mask is None else e.RULES["logical_and"](mask, seen)
    if mask is not None:
        logits = e.where(mask, logits, -0.7 * 3.4e38)
    attended = emit("MatMul", emit("Softmax", logits, axis=-1), s.transpose(value, (0, 2, 1, 3)))
    return cast(s.transpose(attended, (0, 2, 1, 3)), dtype)


RULES = {
    "sum": _total("ReduceSum"),
    "prod": _total("ReduceProd"),
    "mean": _floating("ReduceMean"),
    "logsumexp": _floating("ReduceLogSumExp"),
    "max": _extreme("ReduceMax"),
    "min": _extreme("ReduceMin"),
    "any": _quantifier("ReduceMax"),
    "all": _quantifier("ReduceMin"),
    "cumsum": cumsum,
    "matmul": matmul,
    "einsum": einsum,
    "dot_product_attention": dot_product_attention,
}
