"""Fused attention on JAX: cuDNN's kernel on NVIDIA GPUs."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from kfun.ops import attention
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
    """cuDNN's kernel on NVIDIA GPUs, for half precision; elsewhere XLA fuses the derived form as well."""
    given = (bias, mask, scale, is_causal, flash_attention, attn_logits_soft_cap)
    if flash_attention is False:
        return attention.dot_product_attention.op.body(query, key, value, *given)
    check_heads(query, key, value)
    why = "cuDNN's kernel has no soft cap" if attn_logits_soft_cap is not None else _obstacle(query, key, value)
    if why is None:
        bias = None if bias is None else bias.astype(query.dtype)
        arrays = [query, key, value, *(None if x is None else _four_axes(x) for x in (bias, mask))]
        specs = [None if x is None else jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
        why = _refusal(tuple(specs), scale, is_causal)
        if why is None:
            return _fused(scale, is_causal, *arrays)
    if flash_attention:
        raise no_fused_kernel(why)
    return attention.dot_product_attention.op.body(query, key, value, *given)


def _obstacle(query, key, value):
    """Why cuDNN cannot serve, without asking it; None if it may."""
    if jax.default_backend() != "gpu":
        return f"JAX has none on a {jax.default_backend()}"
    if query.dtype not in (jnp.bfloat16, jnp.float16) or not query.dtype == key.dtype == value.dtype:
        return f"cuDNN takes bfloat16 or float16; received {query.dtype}, {key.dtype} and {value.dtype}"
    if not all(isinstance(size, int) for x in (query, key, value) for size in x.shape):
        return "cuDNN needs to know all sizes"
    return None


def _four_axes(x):
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


def _fused(scale, is_causal, query, key, value, bias, mask):
    return jax.nn.dot_product_attention(
        query, key, value, bias, mask, scale=scale, is_causal=is_causal, implementation="cudnn"
    )


@functools.cache
def _refusal(specs, scale, is_causal):
    """What cuDNN says against arguments of these forms, with a gradient; None if it takes them."""

    def both(query, key, value, bias, mask):
        def of_arrays(query, key, value):
            return _fused(scale, is_causal, query, key, value, bias, mask)

        out, pullback = jax.vjp(of_arrays, query, key, value)
        return pullback(out)

    try:
        jax.jit(both).lower(*specs)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return f"cuDNN refuses: {error}"
    return None


RULES = {
    "dot_product_attention": dot_product_attention,
}
