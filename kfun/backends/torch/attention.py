"""Fused attention on PyTorch: its own kernels."""

from __future__ import annotations

import torch
import torch.nn.attention
from torch.nn import functional as F

from kfun.ops import attention
from kfun.ops._attention import check_heads, no_fused_kernel

_HIDDEN = -0.7 * 3.4e38  # the logit of a masked position, as in the derived op


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
    arrays = [a for a in (query, key, value, bias) if a is not None]
    half_masked = mask is not None and query.dtype is torch.float16  # cannot hold the logit of a hidden position
    mixed = half_masked or any(a.dtype is not query.dtype for a in arrays)
    if flash_attention is False or attn_logits_soft_cap is not None or mixed or _beyond_fused():
        given = (bias, mask, scale, is_causal, flash_attention, attn_logits_soft_cap)
        return attention.dot_product_attention.op.body(query, key, value, *given)
    if not flash_attention:
        return _scaled_dot_product(query, key, value, bias, mask, scale, is_causal)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            return _scaled_dot_product(query, key, value, bias, mask, scale, is_causal)
    except RuntimeError as error:
        raise no_fused_kernel(f"PyTorch has none for these arguments ({error})") from error


def _scaled_dot_product(query, key, value, bias, mask, scale, is_causal):
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 2), value.repeat_interleave(groups, 2)
    query, key, value = (a.transpose(1, 2) for a in (query, key, value))  # [B, N, T, H]
    if is_causal and (mask is not None or bias is not None):
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
        mask, is_causal = seen if mask is None else seen & mask.to(torch.bool), False
    if mask is not None:
        mask = mask.to(torch.bool)
        seeing = mask.any(-1, keepdim=True)  # where all is hidden, the weights are even, without a gradient
        query = torch.where(seeing, query, 0)
        hidden = torch.where(seeing, torch.full((), _HIDDEN, dtype=query.dtype, device=query.device), 0)
        bias = torch.where(mask, 0 if bias is None else bias, hidden)
    out = F.scaled_dot_product_attention(query, key, value, bias, is_causal=is_causal, scale=scale)
    return out.transpose(1, 2)


def _beyond_fused():
    """Whether transformations ask more of PyTorch's fused attention than its first derivative."""
    if torch.compiler.is_compiling():
        return False
    kinds = [i.key() for i in torch._C._functorch.get_interpreter_stack() or []]
    return any(k != torch._C._functorch.TransformType.Grad for k in kinds) or len(kinds) > 1


RULES = {
    "dot_product_attention": dot_product_attention,
}
