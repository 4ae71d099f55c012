"""LSTM and GRU as OpenVINO's own sequence ops, several times faster than a loop.

They have the usual activations and no mask; anything else runs as the scan that defines the op.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import ops
from kfun.backends.openvino import creation, elementwise, shaping
from kfun.backends.openvino.value import Value, as_value, constant, integers, promoted
from kfun.ops._dispatch import OPS


def _usual(activation: Any, recurrent_activation: Any) -> bool:
    names = [getattr(getattr(f, "op", None), "name", None) for f in (activation, recurrent_activation)]
    return names == ["tanh", "sigmoid"]


def _fusable(x: Value, recurrent_kernel: Value, mask: Any) -> bool:
    known = isinstance(x.shape[-1], int) and isinstance(recurrent_kernel.shape[0], int)
    return mask is None and known


def _columns(weight: Value, order: list[int], units: int) -> Value:
    """The gates of a `[..., G H]` weight in another order."""
    if order == sorted(order):
        return weight
    at = np.concatenate([np.arange(g * units, (g + 1) * units) for g in order])
    return shaping.take(weight, constant(at), -1)


def _lengths(x: Value) -> Any:
    return o.broadcast(as_value(x.shape[1], "int32").output, integers([x.shape[0]]))


def _matrix(weight: Value) -> Any:
    return shaping.expand_dims(shaping.transpose(weight), 0).output  # [1, G H, C]


def _state(h: Value) -> Any:
    return shaping.expand_dims(h, 1).output  # [B, 1, H]


def _results(node: Any) -> list[Value]:
    return [Value(o.squeeze(output, integers([1]))) for output in node.outputs()]


def lstm(
    x,
    h,
    c,
    kernel,
    recurrent_kernel,
    bias=None,
    mask=None,
    activation=ops.tanh,
    recurrent_activation=ops.sigmoid,
    reverse=False,
    use_cudnn=False,
):
    given = [as_value(v) for v in (x, h, c, kernel, recurrent_kernel)]
    if not (_usual(activation, recurrent_activation) and _fusable(given[0], given[4], mask)):
        return OPS["lstm"].body(*given, bias, mask, activation, recurrent_activation, reverse)
    dtype = promoted(*given, *([] if bias is None else [bias]))
    x, h, c, kernel, recurrent_kernel = (as_value(v, dtype) for v in given)
    units = recurrent_kernel.shape[0]
    bias = creation.zeros((4 * units,), dtype) if bias is None else as_value(bias, dtype)
    order = [1, 0, 2, 3]  # OpenVINO has forget, input, cell, output
    weights = [_matrix(_columns(w, order, units)) for w in (kernel, recurrent_kernel)]
    offsets = shaping.expand_dims(_columns(bias, order, units), 0).output
    direction = "reverse" if reverse else "forward"
    node = o.lstm_sequence(x.output, _state(h), _state(c), _lengths(x), *weights, offsets, units, direction)
    ys, h, c = _results(node)
    return ys, h, c


def gru(
    x,
    h,
    kernel,
    recurrent_kernel,
    bias=None,
    mask=None,
    activation=ops.tanh,
    recurrent_activation=ops.sigmoid,
    reset_after=True,
    reverse=False,
):
    given = [as_value(v) for v in (x, h, kernel, recurrent_kernel)]
    if not (_usual(activation, recurrent_activation) and _fusable(given[0], given[3], mask)):
        return OPS["gru"].body(*given, bias, mask, activation, recurrent_activation, reset_after, reverse)
    dtype = promoted(*given, *([] if bias is None else [bias]))
    x, h, kernel, recurrent_kernel = (as_value(v, dtype) for v in given)
    units = recurrent_kernel.shape[0]
    offsets = shaping.expand_dims(_gru_bias(bias, units, reset_after, dtype), 0).output
    node = o.gru_sequence(
        x.output,
        _state(h),
        _lengths(x),
        _matrix(kernel),
        _matrix(recurrent_kernel),
        offsets,
        units,
        "reverse" if reverse else "forward",
        linear_before_reset=reset_after,
    )
    ys, h = _results(node)
    return ys, h


def _gru_bias(bias: Any, units: int, reset_after: bool, dtype: str) -> Value:
    """`[3H]`, or `[4H]` with the candidate's two biases apart where the reset gate acts after the product."""
    if bias is None:
        return creation.zeros(((4 if reset_after else 3) * units,), dtype)
    bias = as_value(bias, dtype)
    if not reset_after:
        return bias
    outer, inner = (shaping.getitem(bias, i) for i in (0, 1))
    gates = slice(0, 2 * units), slice(2 * units, None)
    both = elementwise.RULES["add"](shaping.getitem(outer, gates[0]), shaping.getitem(inner, gates[0]))
    return shaping.concatenate([both, shaping.getitem(outer, gates[1]), shaping.getitem(inner, gates[1])], 0)


RULES = {
    "lstm": lstm,
    "gru": gru,
}
