"""Convolution and pooling on OpenVINO.

Results of the channels-last forms stay stored `[B, C, D...]`, so that a chain of convolutions has
one transpose at its start and at most one at its end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from openvino import opset14
from openvino import opset16 as o

from kfun.backends.common.windows import checked_padding, depthwise, each, same_padding, transpose_cut
from kfun.backends.graphs.graph_rules import grouped
from kfun.backends.openvino import shaping
from kfun.backends.openvino.value import Value, as_value, cast, first_of, integers, known_size, promoted


def opened(x: Any, data_format: str | None, dtype: str) -> tuple[Any, int, Callable]:
    """`x` as `[B, C, D...]`, its number of spatial axes, and what makes a result of such an output."""
    x = as_value(x, dtype)
    if data_format == "channels_first":
        return x.output, x.ndim - 2, Value
    if data_format not in (None, "channels_last"):
        raise ValueError(f"expected data_format 'channels_last' or 'channels_first'; received {data_format!r}")
    return first_of(x, x.ndim), x.ndim - 2, lambda node: Value(first=node)


def _padded(x: Any, window: Sequence[int], strides: Any, padding: str, dilation: Sequence[int]) -> tuple[Any, dict]:
    """`x` and the padding attributes of a convolution or pooling over it.

    Padding is explicit wherever it can be: OpenVINO (2026.4) joins an ops.pad before it to it, and
    forgets that where the padding is automatic. A maximum with itself keeps the two apart.
    """
    checked_padding(padding)
    sizes = Value(x).shape[2:]
    pairs = zip(sizes, strides, strict=True)
    if padding == "same" and any(step > 1 and not isinstance(size, int) for size, step in pairs):
        if x.get_node().get_type_name() == "Pad":
            x = o.maximum(x, x).output(0)
        zeros = [0] * len(sizes)
        return x, {"pads_begin": zeros, "pads_end": zeros, "auto_pad": "same_upper"}
    pads = [(0, 0)] * len(sizes)
    if padding == "same":
        sizes = [size if isinstance(size, int) else 1 for size in sizes]  # with a stride of 1 any size gives the same
        pads = [same_padding(*axis) for axis in zip(sizes, window, strides, dilation, strict=True)]
    return x, {"pads_begin": [a for a, _ in pads], "pads_end": [b for _, b in pads], "auto_pad": "explicit"}


def _filters(kernel: Value, n: int, groups: int = 1) -> Value:
    """`[K..., I, F]` as `[F, I, K...]`, or `[G, F / G, I, K...]` in groups."""
    kernel = shaping.transpose(kernel, (n + 1, n, *range(n)))
    if groups == 1:
        return kernel
    filters, *rest = kernel.shape
    return shaping.reshape(kernel, (groups, filters // groups, *rest))


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    dtype = promoted(inputs, kernel)
    x, n, close = opened(inputs, data_format, dtype)
    kernel = as_value(kernel, dtype)
    channels = Value(x).shape[1]
    *window, shared, _ = (known_size(k, "the size of a convolution's kernel") for k in kernel.shape)
    groups = known_size(channels, "the number of channels of a convolution") // shared
    if groups * shared != channels:
        raise ValueError(f"ops.conv: {channels} channels are no multiple of the kernel's {shared}: {kernel!r}")
    op = o.convolution if groups == 1 else o.group_convolution
    filters = _filters(kernel, n, groups).output
    strides, dilation = each(strides, n), each(dilation_rate, n)
    x, pads = _padded(x, window, strides, padding, dilation)
    return close(op(x, filters, strides=strides, dilations=dilation, **pads))


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    dtype = promoted(inputs, kernel)
    x, n, close = opened(inputs, data_format, dtype)
    kernel = as_value(kernel, dtype)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = [None] * n if output_padding is None else each(output_padding, n)
    checked_padding(padding)
    window = [known_size(k, "the size of a kernel") for k in kernel.shape]
    cuts = [transpose_cut(k, t, d, padding, p) for k, t, d, p in zip(window, strides, dilation, extra, strict=False)]
    begin, end = [c for c, _ in cuts], [max(c, 0) for _, c in cuts]
    filters = shaping.transpose(kernel, (n + 1, n, *range(n))).output  # [C, F, K...]
    out = o.convolution_backprop_data(x, filters, strides, pads_begin=begin, pads_end=end, dilations=dilation)
    grow = [max(-c, 0) for _, c in cuts]
    if any(grow):  # beyond the last window there is nothing: zeros
        zero = as_value(0, dtype).output
        out = o.pad(out, integers([0] * (n + 2)), integers([0, 0, *grow]), "constant", zero)
    return close(out)


def _pool(op: str) -> Callable:
    def rule(inputs, pool_size, strides=None, padding="valid", data_format=None):
        dtype = promoted(inputs, floating=True)
        x, n, close = opened(inputs, data_format, dtype)
        window = each(pool_size, n)
        step = window if strides is None else each(strides, n)
        x, pads = _padded(x, window, step, padding, [1] * n)
        if op == "average":
            # Of opset 14, because that of 16 crashes the CPU plugin unless dilations are given.
            return close(opset14.avg_pool(x, strides=step, kernel_shape=window, exclude_pad=True, **pads))
        out = o.max_pool(x, strides=step, dilations=[1] * n, kernel_shape=window, **pads).output(0)
        return cast(close(out), promoted(inputs))

    return rule


def _adaptive(name: str) -> Callable:
    def rule(inputs, output_size, data_format=None):
        kept = promoted(inputs)
        dtype = promoted(inputs, floating=True)
        x, n, close = opened(inputs, data_format, "float32" if dtype in ("float16", "bfloat16") else dtype)
        sizes = integers(list(each(output_size, n)))
        if name == "average":
            return cast(close(o.adaptive_avg_pool(x, sizes).output(0)), dtype)
        return cast(close(o.adaptive_max_pool(x, sizes, "i32").output(0)), kept)

    return rule


RULES = {
    "conv": conv,
    "depthwise_conv": depthwise(conv, functools.partial(grouped, as_value, known_size)),
    "conv_transpose": conv_transpose,
    "max_pool": _pool("max"),
    "average_pool": _pool("average"),
    "adaptive_average_pool": _adaptive("average"),
    "adaptive_max_pool": _adaptive("max"),
}
