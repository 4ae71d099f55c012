"""Fused attention on OpenVINO."""

from __future__ import annotations

from typing import Any

from openvino import opset16 as o

from kfun.backends.openvino import creation, elementwise, shaping
from kfun.backends.openvino.value import Value, as_value, cast, known_size, output_of, promoted
from kfun.ops import attention
from kfun.ops._attention import check_heads


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
        key, value = shaping.repeat(key, groups, 2), shaping.repeat(value, groups, 2)
    hidden = _logit_bias(query, key, bias, mask, is_causal)
    scale = output_of(size**-0.5 if scale is None else scale, wide)
    heads_first = [shaping.transpose(x, (0, 2, 1, 3)).output for x in (query, key, value)]  # [B, N, T, H]
    alone = hidden is None and is_causal
    extra = {} if hidden is None else {"attention_mask": cast(hidden, wide).output}
    attended = o.scaled_dot_product_attention(*heads_first, **extra, scale=scale, causal=alone)
    return cast(shaping.transpose(Value(attended), (0, 2, 1, 3)), dtype)


def _logit_bias(query: Value, key: Value, bias: Any, mask: Any, is_causal: bool) -> Value | None:
    """What is added to the logits `[B, N, T, S]` for a bias and a mask; None for neither.

    Hidden logits become finite, so that rows with nothing to see average over all positions as
    they do on the other backends.
    """
    if bias is None and mask is None:
        return None
    if is_causal:
        rows = shaping.expand_dims(creation.arange(query.shape[1]), 1)
        seen = elementwise.RULES["greater_equal"](rows, shaping.expand_dims(creation.arange(key.shape[1]), 0))
        mask = seen if mask is None else elementwise.RULES["logical_and"](mask, seen)
    if mask is None:
        total = as_value(bias)
    else:
        total = elementwise.where(mask, 0.0 if bias is None else bias, -0.7 * 3.4e38)
    return shaping.expand_dims(total, list(range(4 - total.ndim))) if total.ndim < 4 else total


RULES = {
    "dot_product_attention": dot_product_attention,
}
