"""Attention. B batch, T query and S key positions, N heads, H head size."""

from __future__ import annotations

from kfun.ops import activation as a
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._precision import dtype_of, widened


@derived
def dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Array = None,
    mask: Array = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Array:
    """`softmax(query key^T * scale + bias) value` (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        query: `[B, T, N, H]`.
        key: `[B, S, K, H]`, where K divides N (grouped queries if smaller).
        value: `[B, S, K, H]`.
        bias: added to the logits, broadcast to `[B, N, T, S]`.
        mask: bool, broadcast to `[B, N, T, S]`; False hides a position.
        scale: of the logits, `1 / sqrt(H)` by default.
        is_causal: whether a position sees only those up to its own.

    Returns:
        `[B, T, N, H]`. The softmax is taken in at least float32.
    """
    *_, heads, size = c.shape(query)
    groups = heads // c.shape(key)[2]
    if groups > 1:
        key, value = s.repeat(key, groups, 2), s.repeat(value, groups, 2)
    scale = size**-0.5 if scale is None else scale
    logits = widened(p.einsum("btnh,bsnh->bnts", e.multiply(query, scale), key))
    if bias is not None:
        logits = e.add(logits, bias)
    if is_causal:
        seen = s.tril(c.ones_like(logits, "bool"))
        mask = seen if mask is None else e.logical_and(mask, seen)
    if mask is not None:
        logits = e.where(mask, logits, -0.7 * 3.4e38)
    weights = c.cast(a.softmax(logits, -1), dtype_of(value))
    return p.einsum("bnts,bsnh->btnh", weights, value)
