"""Products on JAX."""

from __future__ import annotations

import jax.numpy as jnp


def _matmul(x1, x2):
    """Flattens `[..., T, C] @ [C, F]` to two axes: XLA's gradient of the 2-d product is faster."""
    if x1.dtype.itemsize != 2 and (x1.ndim < 3 or x2.ndim != 2):
        return jnp.matmul(x1, x2)
    if x1.dtype in (jnp.bfloat16, jnp.float16):
        return jnp.matmul(x1, x2, preferred_element_type=jnp.float32).astype(jnp.result_type(x1, x2))
    if x1.ndim > 2 and x2.ndim == 2 and x1.shape[-1]:
        flat = jnp.matmul(x1.reshape(-1, x1.shape[-1]), x2)
        return flat.reshape(*x1.shape[:-1], x2.shape[-1])
    return jnp.matmul(x1, x2)


def einsum(subscripts, *operands):
    out = jnp.result_type(*operands)
    if out == jnp.bfloat16 or out == jnp.float16:
        return jnp.einsum(subscripts, *operands, preferred_element_type=jnp.float32).astype(out)
    return jnp.einsum(subscripts, *operands)


RULES = {
    "matmul": _matmul,
    "einsum": einsum,
}
