"""Activation functions. Each is elementwise unless its text says otherwise."""

from __future__ import annotations

import math

from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived


@derived
def relu(x: Array) -> Array:
    """`max(x, 0)`; its gradient at 0 is 0 where the backend has the fused form."""
    return e.maximum(x, 0)


@derived
def relu6(x: Array) -> Array:
    """`min(max(x, 0), 6)`."""
    return e.minimum(e.maximum(x, 0), 6)


@derived
def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """`x` where positive, else `negative_slope * x`."""
    return e.where(e.greater_equal(x, 0), x, e.multiply(x, negative_slope))


@derived
def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, without overflow and accurate in both tails."""
    return e.divide(e.exp(e.minimum(x, 0.0)), e.add(1.0, e.exp(e.negative(e.abs(x)))))


@derived
def softplus(x: Array) -> Array:
    """`log(1 + exp(x))`, without overflow."""
    return e.add(e.maximum(x, 0), e.log1p(e.exp(e.negative(e.abs(x)))))


@derived
def log_sigmoid(x: Array) -> Array:
    """`log(sigmoid(x))`."""
    return e.negative(softplus(e.negative(x)))


@derived
def softsign(x: Array) -> Array:
    """`x / (1 + |x|)`."""
    return e.divide(x, e.add(1.0, e.abs(x)))


@derived
def silu(x: Array) -> Array:
    """`x * sigmoid(x)`, also called swish (Ramachandran et al. 2017, arXiv:1710.05941)."""
    return e.multiply(x, sigmoid(x))


@derived
def hard_sigmoid(x: Array) -> Array:
    """`relu6(x + 3) / 6`."""
    return e.divide(relu6(e.add(x, 3.0)), 6.0)


@derived
def hard_silu(x: Array) -> Array:
    """`x * hard_sigmoid(x)` (Howard et al. 2019, arXiv:1905.02244)."""
    return e.multiply(x, hard_sigmoid(x))


swish = silu
hard_swish = hard_silu


@derived
def hard_tanh(x: Array) -> Array:
    """`x` limited to [-1, 1]."""
    return e.clip(x, -1.0, 1.0)


@derived
def tanh_shrink(x: Array) -> Array:
    """`x - tanh(x)`."""
    return e.subtract(x, e.tanh(x))


@derived
def elu(x: Array, alpha: float = 1.0) -> Array:
    """`x` where positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2015, arXiv:1511.07289)."""
    below = e.multiply(alpha, e.expm1(e.minimum(x, 0.0)))
    return e.where(e.greater(x, 0), x, below)


@derived
def selu(x: Array) -> Array:
    """Scaled elu that keeps unit variance (Klambauer et al. 2017, arXiv:1706.02515)."""
    return e.multiply(1.0507009873554805, elu(x, 1.6732632423543772))


@derived
def celu(x: Array, alpha: float = 1.0) -> Array:
    """`max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))` (Barron 2017, arXiv:1704.07483)."""
    below = e.multiply(alpha, e.expm1(e.divide(e.minimum(x, 0.0), alpha)))
    return e.add(e.maximum(x, 0.0), below)


@derived
def gelu(x: Array, approximate: bool = True) -> Array:
    """`x * Phi(x)`, Phi the normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415).

    Args:
        x: floating.
        approximate: whether to use the tanh formula; else the error function. Keras's op
            approximates by default, Keras's activation and PyTorch do not.
    """
    if approximate:
        inner = e.multiply(math.sqrt(2 / math.pi), e.add(x, e.multiply(0.044715, e.multiply(x, e.multiply(x, x)))))
        return e.multiply(e.multiply(0.5, x), e.add(1.0, e.tanh(inner)))
    return e.multiply(e.multiply(0.5, x), e.add(1.0, e.erf(e.multiply(x, math.sqrt(0.5)))))


@derived
def mish(x: Array) -> Array:
    """`x * tanh(softplus(x))` (Misra 2019, arXiv:1908.08681)."""
    return e.multiply(x, e.tanh(softplus(x)))


@derived
def glu(x: Array, axis=-1) -> Array:
    """Half of `x` gated by the sigmoid of the other half along `axis` (arXiv:1612.08083)."""
    value, gate = s.split(x, 2, axis)
    return e.multiply(value, sigmoid(gate))


@derived
def softmax(x: Array, axis=-1) -> Array:
    """`exp(x) / sum(exp(x))` along `axis` (an int or a tuple), without overflow."""
    top = r.max(x, axis, True)
    grown = e.exp(e.subtract(x, top))
    return e.divide(grown, r.sum(grown, axis, True))


@derived
def log_softmax(x: Array, axis=-1) -> Array:
    """`log(softmax(x))` along `axis`, accurate for large logits."""
    centred = e.subtract(x, r.max(x, axis, True))
    return e.subtract(centred, e.log(r.sum(e.exp(centred), axis, True)))
