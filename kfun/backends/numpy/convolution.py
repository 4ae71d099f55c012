"""Convolution and pooling on NumPy: the definitions, not fast."""

from __future__ import annotations

import math

import numpy as np

from kfun.backends.common.windows import depthwise, each, grouped, transpose_padding, window_padding
from kfun.backends.numpy.arrays import HALF, floating, quiet, same_type


def _channels_last(x, data_format):
    return np.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def _back(y, data_format):
    return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y


def _windows(x, window, strides, dilation, pads, value=0):
    """Every window of `[B, D..., C]`, as a view `[B, D'..., C, K...]` of the padded array."""
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)
    extent = tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))
    n = len(window)
    view = np.lib.stride_tricks.sliding_window_view(x, extent, tuple(range(1, n + 1)))
    steps, holes = (np.s_[::s] for s in strides), (np.s_[::d] for d in dilation)
    return view[(np.s_[:], *steps, np.s_[:], *holes)]


def _convolved(x, kernel, strides, dilation, pads):
    """`x [B, D..., C]` with `kernel [K..., C / groups, F]`, in their type or float32."""
    out = x.dtype
    if out in HALF:
        x, kernel = x.astype(np.float32), kernel.astype(np.float32)
    n = x.ndim - 2
    *window, part, filters = kernel.shape
    groups = x.shape[-1] // part
    views = _windows(x, window, strides, dilation, pads)
    views = views.reshape(*views.shape[: n + 1], groups, part, math.prod(window))
    weights = kernel.reshape(math.prod(window), part, groups, filters // groups)
    result = np.einsum("...gck,kcgf->...gf", views, weights, optimize=True)
    return result.reshape(*result.shape[:-2], filters).astype(out)


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    x = _channels_last(inputs, data_format)
    pads = window_padding(x.shape[1:-1], kernel.shape[:n], strides, dilation, padding)
    return _back(_convolved(x, kernel, strides, dilation, pads), data_format)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    """A convolution of the input with zeros between its elements, by the flipped kernel."""
    n = inputs.ndim - 2
    inputs, kernel = same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = (None,) * n if output_padding is None else each(output_padding, n)
    x = _channels_last(inputs, data_format)
    sizes = [(d - 1) * s + 1 for d, s in zip(x.shape[1:-1], strides, strict=True)]
    spread = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    spread[(np.s_[:], *(np.s_[::s] for s in strides))] = x
    pads = [
        transpose_padding(k, s, d, padding, p)
        for k, s, d, p in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    flipped = np.flip(kernel, tuple(range(n))).swapaxes(-1, -2)
    return _back(_convolved(spread, flipped, (1,) * n, dilation, pads), data_format)


def _pooled(inputs, pool_size, strides, padding, data_format, reduce, value):
    n = inputs.ndim - 2
    window, step = each(pool_size, n), each(pool_size if strides is None else strides, n)
    x = _channels_last(inputs, data_format)
    pads = window_padding(x.shape[1:-1], window, step, (1,) * n, padding)
    views = _windows(x, window, step, (1,) * n, pads, value)
    return _back(reduce(views, tuple(range(-n, 0))), data_format)


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    low = np.iinfo(inputs.dtype).min if inputs.dtype.kind in "iu" else -np.inf
    return _pooled(inputs, pool_size, strides, padding, data_format, np.max, low)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    x = floating(inputs)
    wide = x.astype(np.float32) if x.dtype in HALF else x
    total = _pooled(wide, pool_size, strides, padding, data_format, np.sum, 0)
    count = _pooled(np.ones_like(wide), pool_size, strides, padding, data_format, np.sum, 0)
    return (total / count).astype(x.dtype)


RULES = {
    "conv": quiet(conv),
    "depthwise_conv": quiet(depthwise(conv, grouped)),
    "conv_transpose": quiet(conv_transpose),
    "max_pool": max_pool,
    "average_pool": quiet(average_pool),
}
