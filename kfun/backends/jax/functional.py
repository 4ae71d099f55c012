"""Control flow, fused attention and random numbers beyond the basis on JAX."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from kfun import dtypes
from kfun.backends.jax.recurrent import lstm
from kfun.ops import attention, control
from kfun.ops._attention import check_heads, no_fused_kernel


def switch(index, branches, *operands):
    if not len(branches):
        return control.switch.op.body(index, branches)  # which says so
    return lax.switch(index, list(branches), *operands)


def associative_scan(f, elems, reverse=False, axis=0):
    """JAX reverses along axes from the front alone."""
    ranks = {jnp.ndim(x) for x in jax.tree.leaves(elems)}
    if len(ranks) != 1:
        return control.associative_scan.op.body(f, elems, reverse, axis)
    return lax.associative_scan(f, elems, reverse, axis % ranks.pop())


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
    "lstm": lstm,
    "switch": switch,
    "map": lax.map,
    "associative_scan": associative_scan,
    "dot_product_attention": dot_product_attention,
    "random_split_each": lambda keys, num=2: jax.vmap(lambda key: jax.random.split(key, num))(keys),
    "random_shuffle": lambda key, x, axis=0: jax.random.permutation(key, x, axis, independent=True),
    "random_gamma": lambda key, alpha, shape=None, dtype="float32": jax.random.gamma(
        key, alpha, shape, dtypes.name(dtype)
    ),
    "random_beta": lambda key, alpha, beta, shape=None, dtype="float32": jax.random.beta(
        key, alpha, beta, shape, dtypes.name(dtype)
    ),
    "random_binomial": lambda key, counts, probabilities, shape=None, dtype="float32": jax.random.binomial(
        key, counts, probabilities, shape, dtypes.name(dtype)
    ),
}
TRANSFORMS = {"custom_gradient": jax.custom_gradient}
