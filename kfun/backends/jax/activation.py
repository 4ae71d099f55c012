"""Activation functions on JAX."""

from __future__ import annotations

import jax

_ACTIVATIONS = "relu relu6 sigmoid softplus silu mish log_sigmoid selu hard_sigmoid hard_silu hard_tanh"

RULES = {
    **{name: getattr(jax.nn, name) for name in _ACTIVATIONS.split()},
    "softsign": jax.nn.soft_sign,
    "leaky_relu": lambda x, negative_slope=0.2: jax.nn.leaky_relu(x, negative_slope),
    "elu": lambda x, alpha=1.0: jax.nn.elu(x, alpha),
    "celu": lambda x, alpha=1.0: jax.nn.celu(x, alpha),
    "glu": lambda x, axis=-1: jax.nn.glu(x, axis),
    "gelu": lambda x, approximate=True: jax.nn.gelu(x, approximate),
    "softmax": lambda x, axis=-1: jax.nn.softmax(x, axis),
    "log_softmax": lambda x, axis=-1: jax.nn.log_softmax(x, axis),
}
