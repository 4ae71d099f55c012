"""Activation functions by name, with Keras's defaults where they differ from the ops'."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from kfun import ops
from kfun.definition import Convert, register_function
from kfun.errors import nearest
from kfun.errors import unknown_names_of as _unknown_names_of

_BY_NAME: dict[str, Callable] = {}


def register(function: Callable, name: str | None = None) -> Callable:
    """Makes a function known by name to every `activation` argument, and to JSON."""
    name = name or function.__name__
    _BY_NAME[name] = function
    return register_function(function, name)


@register
def linear(x):
    """`x` itself."""
    return x


@register
def relu(x, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0):
    """`x` where it is at least `threshold`, `negative_slope * (x - threshold)` below, at most `max_value`."""
    if negative_slope == 0.0 and threshold == 0.0:
        out = ops.relu(x)
    else:
        below = ops.multiply(ops.subtract(x, threshold), negative_slope)
        out = ops.where(ops.greater(x, threshold), x, below)
    return out if max_value is None else ops.minimum(out, max_value)


@register
def leaky_relu(x, negative_slope: float = 0.2):
    """`x` where positive, else `negative_slope * x`."""
    return ops.leaky_relu(x, negative_slope)


@register
def elu(x, alpha: float = 1.0):
    """`x` where positive, else `alpha * (exp(x) - 1)`."""
    return ops.elu(x, alpha)


@register
def gelu(x, approximate: bool = False):
    """`x * Phi(x)`; exact by default, unlike `ops.gelu`."""
    return ops.gelu(x, approximate)


@register
def softmax(x, axis: int = -1):
    """`exp(x) / sum(exp(x))` along `axis`."""
    return ops.softmax(x, axis)


@register
def log_softmax(x, axis: int = -1):
    """`log(softmax(x))` along `axis`."""
    return ops.log_softmax(x, axis)


@register
def exponential(x):
    """`exp(x)`."""
    return ops.exp(x)


for _f in (ops.relu6, ops.sigmoid, ops.tanh, ops.silu, ops.softplus, ops.softsign, ops.selu, ops.mish, ops.celu):
    register(_f)
for _f in (ops.hard_sigmoid, ops.hard_silu, ops.hard_tanh, ops.tanh_shrink, ops.log_sigmoid, ops.glu):
    register(_f)
for _f in (ops.hard_shrink, ops.soft_shrink, ops.threshold, ops.sparse_plus, ops.sparse_sigmoid, ops.sparsemax):
    register(_f)
register(ops.squareplus)
_BY_NAME |= {"swish": ops.silu, "hard_swish": ops.hard_silu}


def get(identifier: str | Callable | None) -> Callable:
    """The activation for a name, a function, or None (linear).

    Raises:
        ValueError: if no activation has that name.
        TypeError: if `identifier` is neither a name nor callable.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise ValueError(f"unknown activation {identifier!r}; {nearest(identifier, _BY_NAME)}")
        return _BY_NAME[identifier]
    if callable(identifier):
        return identifier
    raise TypeError(f"expected the name of an activation, a function or None; received {identifier!r}")


Activation = Annotated[Any, Convert(get)]


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
