"""The JAX adapter: nearly every op has its native rule."""

from __future__ import annotations

import jax
from jax.core import Tracer

from kfun.backends.jax import (
    activation,
    arrangement,
    attention,
    bits,
    complex_numbers,
    control,
    convolution,
    creation,
    elementwise,
    encoding,
    linalg,
    normalization,
    products,
    random_basis,
    random_rejection,
    reduction,
    rnn,
    scattering,
    selection,
    shaping,
    signal,
    special,
    statistics,
)
from kfun.backends.jax.arrays import convert
from kfun.backends.jax.compile import host, prepare
from kfun.ops._kinds import Kind

RULES = {
    **activation.RULES,
    **arrangement.RULES,
    **attention.RULES,
    **bits.RULES,
    **complex_numbers.RULES,
    **control.RULES,
    **convolution.RULES,
    **creation.RULES,
    **elementwise.RULES,
    **encoding.RULES,
    **linalg.RULES,
    **normalization.RULES,
    **products.RULES,
    **random_basis.RULES,
    **random_rejection.RULES,
    **reduction.RULES,
    **rnn.RULES,
    **scattering.RULES,
    **selection.RULES,
    **shaping.RULES,
    **signal.RULES,
    **special.RULES,
    **statistics.RULES,
}

TRANSFORMS = {
    "grad": jax.grad,
    "value_and_grad": jax.value_and_grad,
    "vjp": jax.vjp,
    "jvp": jax.jvp,
    "jacfwd": jax.jacfwd,
    "jacrev": jax.jacrev,
    "hessian": jax.hessian,
    "vmap": jax.vmap,
    "jit": jax.jit,
    "checkpoint": control.checkpoint,
    "custom_gradient": jax.custom_gradient,
    "pmean": jax.lax.pmean,
}

KIND = Kind("jax", (jax.Array, Tracer), RULES, convert, transforms=TRANSFORMS, prepare=prepare, host=host)
