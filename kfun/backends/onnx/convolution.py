"""Convolution and pooling on ONNX, whose operations read `[B, C, D...]`.

Around each of them stand two transposes where channels are last; onnxruntime moves and cancels them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kfun.backends.common.windows import checked_padding, depthwise, each, same_padding, transpose_cut
from kfun.backends.graphs.graph_rules import grouped
from kfun.backends.onnx import shaping
from kfun.backends.onnx.value import Value, as_value, emit, known_size, promoted


def opened(x: Any, data_format: str | None, dtype: str) -> tuple[Value, int, Callable]:
    """`x` as `[B, C, D...]`, its number of spatial axes, and what puts a result in the order of `x`."""
    x = as_value(x, dtype)
    rank = x.ndim
    if data_format == "channels_first":
        return x, rank - 2, lambda out: out
    if data_format not in (None, "channels_last"):
        raise ValueError(f"expected data_format 'channels_last' or 'channels_first'; received {data_format!r}")
    first, last = (0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)
    return shaping.transpose(x, first), rank - 2, lambda out: shaping.transpose(out, last)


def _padding(x: Value, window: Sequence[int], strides: Any, padding: str, dilation: Sequence[int]) -> dict:
    """The padding attributes of a convolution or pooling over `[B, C, D...]`: explicit wherever sizes are known."""
    checked_padding(padding)
    sizes = x.shape[2:]
    if padding == "valid":
        return {"pads": [0] * (2 * len(sizes))}
    if any(step > 1 and not isinstance(size, int) for size, step in zip(sizes, strides, strict=True)):
        return {"auto_pad": "SAME_UPPER"}
    sizes = [size if isinstance(size, int) else 1 for size in sizes]  # with a stride of 1 any size gives the same
    pads = [same_padding(*axis) for axis in zip(sizes, window, strides, dilation, strict=True)]
    return {"pads": [p[i] for i in (0, 1) for p in pads]}


def _unchanged(x: Value, strides: Any, padding: str) -> list:
    """The spatial sizes that a window keeps, which ONNX cannot tell of open ones: those of stride 1 under "same"."""
    return [n if padding == "same" and step == 1 else None for n, step in zip(x.shape[2:], strides, strict=True)]


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    dtype = promoted(inputs, kernel)
    x, n, close = opened(inputs, data_format, dtype)
    kernel = as_value(kernel, dtype)
    *window, shared, filters = (known_size(k, "the size of a convolution's kernel") for k in kernel.shape)
    channels = known_size(x.shape[1], "the number of channels of a convolution")
    groups = channels // shared
    if groups * shared != channels:
        raise ValueError(f"ops.conv: {channels} channels are no multiple of the kernel's {shared}: {kernel!r}")
    strides, dilation = each(strides, n), each(dilation_rate, n)
    pads = _padding(x, window, strides, padding, dilation)
    shape = [x.shape[0], filters, *_unchanged(x, strides, padding)]
    filters = shaping.transpose(kernel, (n + 1, n, *range(n)))  # [F, I, K...]
    return close(emit("Conv", x, filters, strides=strides, dilations=dilation, group=groups, shape=shape, **pads))


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    dtype = promoted(inputs, kernel)
    x, n, close = opened(inputs, data_format, dtype)
    kernel = as_value(kernel, dtype)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = [None] * n if output_padding is None else each(output_padding, n)
    checked_padding(padding)
    window = [known_size(k, "the size of a kernel") for k in kernel.shape]
    cuts = [transpose_cut(k, t, d, padding, p) for k, t, d, p in zip(window, strides, dilation, extra, strict=False)]
    pads = [c for c, _ in cuts] + [max(c, 0) for _, c in cuts]
    filters = shaping.transpose(kernel, (n + 1, n, *range(n)))  # [C, F, K...]
    out = emit("ConvTranspose", x, filters, strides=strides, dilations=dilation, pads=pads)
    grow = [max(-c, 0) for _, c in cuts]
    if any(grow):  # beyond the last window there is nothing: zeros
        out = shaping.pad(out, [(0, 0), (0, 0), *[(0, g) for g in grow]])
    return close(out)


def _pool(op: str) -> Callable:
    def rule(inputs, pool_size, strides=None, padding="valid", data_format=None):
        floating = op == "AveragePool"
        x, n, close = opened(inputs, data_format, promoted(inputs, floating=floating))
        window = each(pool_size, n)
        step = window if strides is None else each(strides, n)
        pads = _padding(x, window, step, padding, [1] * n)
        shape = [*x.shape[:2], *_unchanged(x, step, padding)]
        return close(emit(op, x, kernel_shape=window, strides=step, shape=shape, **pads))

    return rule


RULES = {
    "conv": conv,
    "depthwise_conv": depthwise(conv, functools.partial(grouped, as_value, known_size)),
    "conv_transpose": conv_transpose,
    "max_pool": _pool("MaxPool"),
    "average_pool": _pool("AveragePool"),
}
