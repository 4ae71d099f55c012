"""Activation functions on OpenVINO: the fused forms that it has."""

from __future__ import annotations

from collections.abc import Callable

from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.graph_rules import axes_of
from kfun.backends.openvino.promotion import broadcasting, scalar_like, unary
from kfun.backends.openvino.value import Value, as_value, dtype_of, promoted, stored_axis
from kfun.ops._dispatch import OPS


def _only_floats(name: str, make: Callable) -> Callable:
    """A native activation for floats, the derived body for integers."""

    def rule(x, *args, **kwargs):
        if not dtypes.is_float(dtype_of(x)):
            return OPS[name].body(x, *args, **kwargs)
        return broadcasting(lambda v: make(v, *args, **kwargs), (x,), promoted(x))

    return rule


def _leaky_relu(x, negative_slope=0.2):
    return o.prelu(x, scalar_like(negative_slope, x))


def _gelu(x, approximate=True):
    return o.gelu(x, "tanh" if approximate else "erf")


def _elu(x, alpha=1.0):
    return o.elu(x, alpha)


def _selu(x):
    return o.selu(x, scalar_like(1.6732632423543772, x), scalar_like(1.0507009873554805, x))


def _along_axis(make: Callable, name: str) -> Callable:
    def rule(x, axis=-1):
        x = as_value(x, promoted(x, floating=True))
        axes = axes_of(axis, x.ndim)
        if len(axes) != 1:
            return OPS[name].body(x, axis)
        if x.deferred:
            return Value(first=make(x.first, stored_axis(axes[0], x.ndim)))
        return Value(make(x.output, axes[0]))

    return rule


RULES = {
    "relu": _only_floats("relu", o.relu),
    "relu6": _only_floats("relu6", lambda x: o.clamp(x, 0.0, 6.0)),
    "leaky_relu": _only_floats("leaky_relu", _leaky_relu),
    "sigmoid": unary(o.sigmoid),
    "softsign": unary(o.softsign),
    "silu": unary(o.swish),
    "hard_sigmoid": unary(o.hsigmoid),
    "hard_silu": unary(o.hswish),
    "elu": _only_floats("elu", _elu),
    "selu": _only_floats("selu", _selu),
    "gelu": _only_floats("gelu", _gelu),
    "mish": unary(o.mish),
    "softmax": _along_axis(o.softmax, "softmax"),
    "log_softmax": _along_axis(o.log_softmax, "log_softmax"),
}
