"""What every form of attention checks."""

from __future__ import annotations

from kfun.ops import creation as c


def check_heads(query, key, value):
    """Raises ValueError unless the ranks and the numbers of heads fit."""
    shapes = [c.shape(x) for x in (query, key, value)]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            "ops.dot_product_attention: expected query [B, T, N, H], key and value [B, S, K, H]; "
            f"received arrays with {', '.join(str(len(shape)) for shape in shapes)} axes"
        )
    heads, shared = shapes[0][2], shapes[1][2]
    if isinstance(heads, int) and isinstance(shared, int) and heads % shared:
        raise ValueError(f"ops.dot_product_attention: {heads} query heads are no multiple of {shared} key heads")


def no_fused_kernel(why):
    """The error for a call that insists on a fused kernel."""
    return ValueError(
        f"ops.dot_product_attention: flash_attention=True, but {why}. Set it to None to use a fused kernel where "
        "one serves, and products and a softmax elsewhere"
    )
