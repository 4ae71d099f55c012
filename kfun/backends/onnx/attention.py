"""Attention on ONNX, written out."""

from __future__ import annotations

from kfun.backends.onnx import creation, elementwise, shaping
from kfun.backends.onnx.value import as_value, cast, emit, known_size, promoted
from kfun.ops._attention import check_heads, no_fused_kernel


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
        key, value = shaping.repeat(key, groups, 2), shaping.repeat(value, groups, 2)
    query = emit("Mul", query, as_value(size**-0.5 if scale is None else scale, wide))
    turned = shaping.transpose(key, (0, 2, 3, 1))  # [B, N, H, S]
    logits = emit("MatMul", shaping.transpose(query, (0, 2, 1, 3)), turned)  # [B, N, T, S]
    if attn_logits_soft_cap is not None:
        cap = as_value(attn_logits_soft_cap, wide)
        logits = emit("Mul", emit("Tanh", emit("Div", logits, cap)), cap)
    if bias is not None:
        logits = elementwise.RULES["add"](logits, bias)
    if is_causal:
        rows = shaping.expand_dims(creation.arange(query.shape[1]), 1)
        seen = elementwise.RULES["greater_equal"](rows, shaping.expand_dims(creation.arange(key.shape[1]), 0))
        mask = seen if mask is None else elementwise.RULES["logical_and"](mask, seen)
    if mask is not None:
        logits = elementwise.where(mask, logits, -0.7 * 3.4e38)
    attended = emit("MatMul", emit("Softmax", logits, axis=-1), shaping.transpose(value, (0, 2, 1, 3)))
    return cast(shaping.transpose(attended, (0, 2, 1, 3)), dtype)


RULES = {
    "dot_product_attention": dot_product_attention,
}
