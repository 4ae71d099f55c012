"""Reductions, products and attention on OpenVINO.

The CPU sums integers as float32: totals above 2**24 are rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.graph_rules import accumulator, axes_of, explicit
from kfun.backends.openvino import elementwise as e
from kfun.backends.openvino import shaping as s
from kfun.backends.openvino.value import (
    Value,
    as_value,
    cast,
    integers,
    known_size,
    output_of,
    promoted,
    stored_axis,
)
from kfun.ops import attention
from kfun.ops._attention import check_heads


def _reduce(make: Callable, x: Value, axis: Any, keepdims: bool) -> Value:
    axes = axes_of(axis, x.ndim)
    if not axes:
        return x
    if dtypes.is_integer(x.dtype):
        # The CPU reduces integers as float32 anyway, but fuses arithmetic behind that wrongly: sum(x) - 1 of shape
        # (4, 3, 5) gave -5 in the last rows (2026.4).
        return cast(_reduce(make, cast(x, "float32"), axes, keepdims), x.dtype)
    if x.deferred:
        stored = [stored_axis(a, x.ndim) for a in axes]
        rest = [stored_axis(a, x.ndim) for a in range(x.ndim) if a not in axes]
        if keepdims:
            return Value(first=make(x.first, integers(stored), True))
        if rest == sorted(rest):
            return Value(make(x.first, integers(stored), False))
    return Value(make(x.output, integers(axes), keepdims))


def _total(make: Callable) -> Callable:
    """Sums and products of small integers are int32, of unsigned ones uint32."""

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        return _reduce(make, cast(x, accumulator(x.dtype)), axis, keepdims)

    return rule


def mean(x, axis=None, keepdims=False):
    return _reduce(o.reduce_mean, as_value(x, promoted(x, floating=True)), axis, keepdims)


def _extreme(make: Callable, logical: Callable) -> Callable:
    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        return _reduce(logical if x.dtype == "bool" else make, x, axis, keepdims)

    return rule


def logsumexp(x, axis=None, keepdims=False):
    """The maximum of a row of minus infinities is a finite number on the CPU, so it is not used twice."""
    x = as_value(x, promoted(x, floating=True))
    axes = axes_of(axis, x.ndim)
    top = RULES["max"](x, axes, True)
    top = e.where(e.RULES["isfinite"](top), top, 0)
    scaled = e.RULES["exp"](e.RULES["subtract"](x, top))
    total = e.RULES["add"](e.RULES["log"](RULES["sum"](scaled, axes, True)), top)
    return total if keepdims else s.squeeze(total, axes)


def _quantifier(make: Callable) -> Callable:
    return lambda x, axis=None, keepdims=False: _reduce(make, e.truth(x), axis, keepdims)


def cumsum(x, axis=None, dtype=None):
    x = as_value(x)
    x = cast(x, dtype or ("int32" if x.dtype == "bool" else x.dtype))
    if axis is None:
        x, axis = s.reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    return Value(o.cum_sum(x.output, integers(axis)))


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
    if flash_attention is False or attn_logits_soft_cap is not None:
        given = (bias, mask, scale, is_causal, flash_attention, attn_logits_soft_cap)
        return attention.dot_product_attention.op.body(query, key, value, *given)
    dtype = promoted(query, key, value)
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    query, key, value = (as_value(x, wide) for x in (query, key, value))
    heads, shared, size = (
        known_size(n, "the number and size of heads") for n in (query.shape[2], key.shape[2], query.shape[3])
    )
    groups = heads // shared
    if groups > 1:
        key, value = s.repeat(key, groups, 2), s.repeat(value, groups, 2)
    hidden = _logit_bias(query, key, bias, mask, is_causal)
    scale = output_of(size**-0.5 if scale is None else scale, wide)
    heads_first = [s.transpose(x, (0, 2, 1, 3)).output for x in (query, key, value)]  # [B, N, T, H]
    alone = hidden is None and is_causal
    extra = {} if hidden is None else {"attention_mask": cast(hidden, wide).output}
    attended = o.scaled_dot_product_attention(*heads_first, **extra, scale=scale, causal=alone)
    return cast(s.transpose(Value(attended), (0, 2, 1, 3)), dtype)


def _logit_bias(query: Value, key: Value, bias: Any, mask: Any, is_causal: bool) -> Value | None:
    """What is added to the logits `[B, N, T, S]` for a bias and a mask; None for neither.

    Hidden logits become finite, so that rows with nothing to see average over all positions as
    they do on the other backends.
    """
    if bias is None and mask is None:
        return None
    if is_causal:
        rows = s.expand_dims(s.arange(query.shape[1]), 1)
        seen = e.RULES["greater_equal"](rows, s.expand_dims(s.arange(key.shape[1]), 0))
        mask = seen if mask is None else e.RULES["logical_and"](mask, seen)
    if mask is None:
        total = as_value(bias)
    else:
        total = e.where(mask, 0.0 if bias is None else bias, -0.7 * 3.4e38)
    return s.expand_dims(total, list(range(4 - total.ndim))) if total.ndim < 4 else total


RULES = {
    "sum": _total(o.reduce_sum),
    "prod": _total(o.reduce_prod),
    "mean": mean,
    "max": _extreme(o.reduce_max, o.reduce_logical_or),
    "min": _extreme(o.reduce_min, o.reduce_logical_and),
    "logsumexp": logsumexp,
    "any": _quantifier(o.reduce_logical_or),
    "all": _quantifier(o.reduce_logical_and),
    "cumsum": cumsum,
    "matmul": matmul,
    "einsum": einsum,
    "dot_product_attention": dot_product_attention,
}
