"""Convolution and pooling on PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from kfun.backends.common.windows import depthwise, each, grouped, transpose_cut, window_padding
from kfun.backends.torch.arrays import floating, same_type

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def channels_first(x, data_format):
    """`x` as `[B, C, D...]`."""
    return x if data_format == "channels_first" else x.movedim(-1, 1)


def restored(y, data_format):
    """A result `[B, C, D...]` in the order of the input."""
    return y if data_format == "channels_first" else y.movedim(1, -1)


def _pad(x, pads, value=0.0):
    flat = [n for pair in reversed(pads) for n in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    x = channels_first(inputs, data_format)
    pads = window_padding(x.shape[2:], kernel.shape[:n], strides, dilation, padding)
    built_in = tuple(before for before, _ in pads)  # what an even padding leaves to the kernel itself
    if any(before != after for before, after in pads):
        x, built_in = _pad(x, pads), (0,) * n
    groups = x.shape[1] // kernel.shape[-2]
    weight = kernel.permute(n + 1, n, *range(n))  # [F, C / groups, K...]
    return restored(_CONV[n](x, weight, None, strides, built_in, dilation, groups), data_format)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = (None,) * n if output_padding is None else each(output_padding, n)
    weight = kernel.permute(n + 1, n, *range(n))  # [C, F, K...]
    full = _CONV_TRANSPOSE[n](channels_first(inputs, data_format), weight, None, strides, dilation=dilation)
    cuts = [
        transpose_cut(*axis[:3], padding, axis[3]) for axis in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    return restored(_pad(full, [(-before, -after) for before, after in cuts]), data_format)


def _pooling(inputs, pool_size, strides, padding, data_format):
    n = inputs.ndim - 2
    window, step = each(pool_size, n), each(pool_size if strides is None else strides, n)
    x = channels_first(inputs, data_format)
    return x, window, step, window_padding(x.shape[2:], window, step, (1,) * n, padding)


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    x, window, step, pads = _pooling(inputs, pool_size, strides, padding, data_format)
    low = float("-inf")
    if not x.dtype.is_floating_point:  # float64 holds every integer up to 53 bits
        x, low = x.to(torch.float64), float(torch.iinfo(x.dtype).min)
    out = _MAX_POOL[len(window)](_pad(x, pads, low), window, step)
    return restored(out.to(inputs.dtype), data_format)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    x, window, step, pads = _pooling(inputs, pool_size, strides, padding, data_format)
    x = floating(x)
    wide = x.to(torch.float32) if x.dtype.itemsize < 4 else x
    out = _AVERAGE_POOL[len(window)](_pad(wide, pads), window, step)
    for axis, (before, after) in enumerate(pads):
        if before or after:
            size, k, s = x.shape[2 + axis], window[axis], step[axis]
            starts = range(-before, size + after - k + 1, s)
            share = [k / (min(i + k, size) - max(i, 0)) for i in starts]  # of the window to its real places
            shape = (-1, *(1,) * (len(window) - axis - 1))
            out = out * torch.tensor(share, dtype=out.dtype, device=out.device).reshape(shape)
    return restored(out.to(x.dtype), data_format)


_AVERAGE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


def _adaptive(pools):
    def rule(inputs, output_size, data_format=None):
        n, first = inputs.ndim - 2, data_format == "channels_first"
        x = inputs if first else inputs.movedim(-1, 1)
        x = floating(x) if pools is _AVERAGE or not x.dtype.is_floating_point else x
        out = pools[n](x, each(output_size, n))
        out = out if pools is _AVERAGE else out.to(inputs.dtype)
        return out if first else out.movedim(1, -1)

    return rule


RULES = {
    "conv": conv,
    "depthwise_conv": depthwise(conv, grouped),
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "adaptive_average_pool": _adaptive(_AVERAGE),
    "adaptive_max_pool": _adaptive(_MAX),
}
