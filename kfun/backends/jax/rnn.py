"""LSTMs on JAX: cuDNN's kernel on NVIDIA GPUs where it is asked for, one product a step on CPUs."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kfun.ops import rnn


def lstm(
    x, h, c, kernel, recurrent_kernel, bias, mask, activation, recurrent_activation, reverse=False, use_cudnn=False
):
    given = (x, h, c, kernel, recurrent_kernel, bias, mask, activation, recurrent_activation, reverse)
    if use_cudnn:
        why = _obstacle([v for v in given[:6] if v is not None], mask, activation, recurrent_activation)
        if why is None:
            return _fused(x, h, c, kernel, recurrent_kernel, bias, reverse)
        if use_cudnn is True:
            raise rnn.no_cudnn(why)
    return (rnn.lstm_in_one_product if jax.default_backend() == "cpu" else rnn.lstm.op.body)(*given)


def _obstacle(arrays: list, mask: Any, activation: Any, recurrent_activation: Any) -> str | None:
    """Why cuDNN cannot serve; None if it can."""
    if jax.default_backend() != "gpu":
        return f"JAX has none on a {jax.default_backend()}"
    if mask is not None:
        return "it takes no mask"
    names = [getattr(getattr(f, "op", None), "name", None) for f in (activation, recurrent_activation)]
    if names != ["tanh", "sigmoid"]:
        return "its activations are tanh and sigmoid"
    if {str(a.dtype) for a in arrays} != {"float32"}:
        return f"it takes float32; received {', '.join(sorted({str(a.dtype) for a in arrays}))}"
    sizes = [size for a in arrays for size in a.shape]
    if not all(isinstance(size, int) and size for size in sizes):
        return "it needs to know all sizes, none of them 0"
    return None


def _fused(x, h, c, kernel, recurrent_kernel, bias, reverse):
    """`jax.experimental.rnn.lstm`, whose gates stand in our order; it packs all weights into one array."""
    from jax.experimental import rnn as cudnn

    _let_batch()
    units = recurrent_kernel.shape[0]
    bias = jnp.zeros(4 * units, x.dtype) if bias is None else bias
    parts = [kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias)]  # the second bias is the state's
    weights = jnp.concatenate([part.ravel() for part in parts])
    x = jnp.flip(x, 1) if reverse else x
    lengths = jnp.full(x.shape[0], x.shape[1], "int32")
    ys, h, c = cudnn.lstm(x, h[None], c[None], weights, lengths, x.shape[2], units, 1, 0.0, False)
    return jnp.flip(ys, 1) if reverse else ys, h[0], c[0]


@functools.cache
def _let_batch() -> None:
    """Gives the kernel's primitives, which have no rule for `vmap`, one that runs them in turn."""
    from jax.experimental import rnn as cudnn
    from jax.interpreters import batching

    for primitive in (cudnn.rnn_fwd_p, cudnn.rnn_bwd_p):
        batching.primitive_batchers[primitive] = _in_turn(primitive)


def _in_turn(primitive: Any) -> Any:
    def rule(args: Any, axes: Any, **settings: Any) -> tuple:
        mapped = [jnp.moveaxis(a, axis, 0) for a, axis in zip(args, axes, strict=True) if axis is not None]

        def one(rows: Any) -> list:
            rows = iter(rows)
            given = [a if axis is None else next(rows) for a, axis in zip(args, axes, strict=True)]
            return primitive.bind(*given, **settings)

        made = lax.map(one, mapped)
        return made, [0] * len(made)

    return rule


RULES = {
    "lstm": lstm,
}
