"""LSTM, GRU and the simple recurrence as ONNX's own operations, several times faster than a loop.

They have the usual activations and no mask; anything else runs as the scan that defines the op.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kfun import ops
from kfun.backends.onnx import creation, shaping
from kfun.backends.onnx.value import Value, as_value, cast, constant, emit, integers, promoted
from kfun.ops._dispatch import OPS

_ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}


def _fused(op: str, operands: Sequence[Value], bias: Any, order: list[int], functions: tuple, reverse: bool, **more):
    """The node of a whole recurrence; None where it has to be a scan.

    Args:
        op: "LSTM", "GRU" or "RNN".
        operands: x `[B, T, C]`, the states `[B, H]`, the kernel and the recurrent kernel.
        bias: `[G H]`, `[2, G H]` for inputs and state apart, or None.
        order: of the gates in ONNX, as places in kfun's.
        functions: the activations in the order of ONNX.
        more: attributes.

    Returns:
        The outputs `[B, T, H]` and the last states.
    """
    names = [_ACTIVATIONS.get(getattr(getattr(f, "op", None), "name", "")) for f in functions]
    x, *states, kernel, recurrent_kernel = operands
    units = recurrent_kernel.shape[0]
    if None in names or not isinstance(units, int) or not isinstance(x.shape[-1], int):
        return None
    dtype = promoted(*operands, *([] if bias is None else [bias]))
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    if wide not in ("float32", "float64") or (op == "RNN" and wide == "float64"):
        return None
    columns = np.concatenate([np.arange(g * units, (g + 1) * units) for g in order])
    pick = lambda w: cast(w, wide) if order == sorted(order) else shaping.take(cast(w, wide), constant(columns), -1)  # noqa: E731
    weights = [shaping.expand_dims(shaping.transpose(pick(w)), 0) for w in (kernel, recurrent_kernel)]  # [1, G H, C]
    offsets = None if bias is None else _offsets(pick(as_value(bias)), len(columns), wide)
    first = [shaping.expand_dims(cast(h, wide), 0) for h in states]  # [1, B, H]
    initial = [first[0], first[1]] if op == "LSTM" else first
    more |= {"hidden_size": units, "direction": "reverse" if reverse else "forward", "activations": names}
    steps = shaping.transpose(cast(x, wide), (1, 0, 2))  # [T, B, C]
    shape = [steps.shape[0], 1, steps.shape[1], units]
    ys, *last = emit(op, steps, *weights, offsets, None, *initial, outputs=1 + len(states), shape=shape, **more)
    ys = shaping.transpose(emit("Squeeze", ys, integers([1])), (1, 0, 2))
    return [cast(v, dtype) for v in (ys, *(shaping.squeeze(h, 0) for h in last))]


def _offsets(bias: Value, width: int, dtype: str) -> Value:
    """`[1, 2 G H]`: the biases of the inputs, then those of the state."""
    both = bias if bias.ndim == 2 else shaping.stack([bias, creation.zeros((width,), dtype)])
    return shaping.reshape(both, (1, 2 * width))


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
    operands = [as_value(v) for v in (x, h, c, kernel, recurrent_kernel)]
    functions = recurrent_activation, activation, activation
    made = None if mask is not None else _fused("LSTM", operands, bias, [0, 3, 1, 2], functions, reverse)
    made = made or OPS["lstm"].body(*operands, bias, mask, activation, recurrent_activation, reverse)
    return tuple(made)


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
    operands = [as_value(v) for v in (x, h, kernel, recurrent_kernel)]
    functions, late = (recurrent_activation, activation), {"linear_before_reset": int(reset_after)}
    made = None if mask is not None else _fused("GRU", operands, bias, [0, 1, 2], functions, reverse, **late)
    made = made or OPS["gru"].body(*operands, bias, mask, activation, recurrent_activation, reset_after, reverse)
    return tuple(made)


def simple_rnn(x, h, kernel, recurrent_kernel, bias=None, mask=None, activation=ops.tanh, reverse=False):
    operands = [as_value(v) for v in (x, h, kernel, recurrent_kernel)]
    made = None if mask is not None else _fused("RNN", operands, bias, [0], (activation,), reverse)
    return tuple(made or OPS["simple_rnn"].body(*operands, bias, mask, activation, reverse))


RULES = {
    "lstm": lstm,
    "gru": gru,
    "simple_rnn": simple_rnn,
}
