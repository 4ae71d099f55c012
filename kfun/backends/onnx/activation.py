"""Activation functions on ONNX: the fused operations that it has.

They are exact to an absolute 1e-7. onnxruntime's Sigmoid is so, too, and 0 below -18: probabilities
are small there, so `sigmoid` itself is written out, which takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable

from kfun import dtypes
from kfun.backends.graphs.graph_rules import axes_of
from kfun.backends.onnx.kernels import runs
from kfun.backends.onnx.promotion import unary
from kfun.backends.onnx.value import Value, as_value, dtype_of, emit, promoted
from kfun.ops._dispatch import OPS


def _fused(name: str, op: str, attributes: Callable = lambda: {}) -> Callable:
    """A native activation where there is one for the type; else the derived body.

    Args:
        name: of the op.
        attributes: makes those of the node from the op's settings.
    """

    def rule(x, *settings):
        dtype = dtype_of(x)
        if not dtypes.is_float(dtype) or (dtype == "float64" and not runs(op, dtype)):
            return OPS[name].body(x, *settings)
        return emit(op, as_value(x), **attributes(*settings))

    return rule


def _sigmoid(x: Value) -> Value:
    one = as_value(1.0, x.dtype)
    return emit("Reciprocal", emit("Add", one, emit("Exp", emit("Neg", x))))


def _relu6(x):
    return OPS["relu6"].body(x) if not dtypes.is_float(dtype_of(x)) else _between(as_value(x), 0.0, 6.0)


def _between(x: Value, low: float, high: float) -> Value:
    return emit("Clip", x, as_value(low, x.dtype), as_value(high, x.dtype))


def _along_axis(op: str, name: str) -> Callable:
    def rule(x, axis=-1):
        x = as_value(x, promoted(x, floating=True))
        axes = axes_of(axis, x.ndim)
        return emit(op, x, axis=axes[0]) if len(axes) == 1 else OPS[name].body(x, axis)

    return rule


RULES = {
    "relu": _fused("relu", "Relu"),
    "relu6": _relu6,
    "leaky_relu": _fused("leaky_relu", "LeakyRelu", lambda slope=0.2: {"alpha": float(slope)}),
    "sigmoid": unary(_sigmoid),
    "silu": unary(lambda x: emit("Mul", x, emit("Sigmoid", x))),
    "softplus": _fused("softplus", "Softplus"),
    "softsign": _fused("softsign", "Softsign"),
    "hard_sigmoid": _fused("hard_sigmoid", "HardSigmoid", lambda: {"alpha": 1 / 6, "beta": 0.5}),
    "elu": _fused("elu", "Elu", lambda alpha=1.0: {"alpha": float(alpha)}),
    "selu": _fused("selu", "Selu", lambda: {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "celu": _fused("celu", "Celu", lambda alpha=1.0: {"alpha": float(alpha)}),
    "gelu": _fused("gelu", "Gelu", lambda approximate=True: {"approximate": "tanh" if approximate else "none"}),
    "mish": _fused("mish", "Mish"),
    "softmax": _along_axis("Softmax", "softmax"),
    "log_softmax": _along_axis("LogSoftmax", "log_softmax"),
}
