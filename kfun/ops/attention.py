"""Attention. B batch, T query and S key positions, N heads, K key heads, H head size."""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import activation as a
from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._attention import check_heads, no_fused_kernel
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
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
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
        flash_attention: None for the backend's fused kernel (Dao et al. 2022, arXiv:2205.14135)
            where it can serve, False for products and a softmax, True to insist on it. Fused kernels
            have first derivatives by reverse mode only.
        attn_logits_soft_cap: c in `c * tanh(logits / c)`, taken before bias and mask (Gemma 2,
            arXiv:2408.00118); None for no cap. Keras has it on TPUs alone.

    Returns:
        `[B, T, N, H]`, in the promoted type of query, key and value. The softmax is taken in at
        least float32.

    Raises:
        ValueError: if an array has not 4 axes, K does not divide N, or `flash_attention` is True
            where there is no fused kernel for the call.
    """
    check_heads(query, key, value)
    if flash_attention:
        raise no_fused_kernel("the backend has none for these arguments")
    out = dtypes.promote(dtype_of(query), dtypes.promote(dtype_of(key), dtype_of(value)))
    query, key, value = c.cast(query, out), c.cast(key, out), c.cast(value, out)
    *_, heads, size = c.shape(query)
    groups = heads // c.shape(key)[2]
    if groups > 1:
        key, value = s.repeat(key, groups, 2), s.repeat(value, groups, 2)
    scale = size**-0.5 if scale is None else scale
    logits = widened(p.einsum("btnh,bsnh->bnts", e.multiply(query, scale), key))
    if attn_logits_soft_cap is not None:
        logits = e.multiply(e.tanh(e.divide(logits, attn_logits_soft_cap)), attn_logits_soft_cap)
    if bias is not None:
        logits = e.add(logits, bias)
    if is_causal:
        seen = s.tril(c.ones_like(logits, "bool"))
        mask = seen if mask is None else e.logical_and(mask, seen)
    if mask is not None:
        logits = e.where(mask, logits, -0.7 * 3.4e38)
    known = c.shape(key)[1]
    if out in ("float16", "bfloat16") or (isinstance(known, int) and known == 0):
        return p.einsum("bnts,bsnh->btnh", c.cast(a.softmax(logits, -1), out), value)
    # Divided by their sum after the product, which is smaller than the weights; half precision would overflow.
    weights = e.exp(e.subtract(logits, control.stop_gradient(r.max(logits, -1, True))))
    total = s.transpose(r.sum(weights, -1, True), (0, 2, 1, 3))
    return e.divide(p.einsum("bnts,bsnh->btnh", weights, value), total)
