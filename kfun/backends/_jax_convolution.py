"""Convolution and pooling on JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from kfun.backends._windows import each, transpose_padding


def _layout(n, data_format):
    spatial = "DHW"[3 - n :]
    io = f"NC{spatial}" if data_format == "channels_first" else f"N{spatial}C"
    return io, f"{spatial}IO", io


def _channels(x, data_format):
    return x.shape[1 if data_format == "channels_first" else -1]


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = _same_type(inputs, kernel)
    return lax.conv_general_dilated(
        inputs,
        kernel,
        each(strides, n),
        padding.upper(),
        rhs_dilation=each(dilation_rate, n),
        dimension_numbers=_layout(n, data_format),
        feature_group_count=_channels(inputs, data_format) // kernel.shape[-2],
    )


def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    *window, channels, multiplier = kernel.shape
    kernel = kernel.reshape(*window, 1, channels * multiplier)
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def _same_type(x, kernel):
    out = jnp.result_type(x, kernel)
    return x.astype(out), kernel.astype(out)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = _same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = each(output_padding, n) if output_padding is not None else (None,) * n
    pads = [
        transpose_padding(k, s, d, padding, p)
        for k, s, d, p in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    return lax.conv_transpose(
        inputs, kernel, strides, pads, dilation, dimension_numbers=_layout(n, data_format), transpose_kernel=True
    )


def _windows(x, pool_size, strides, data_format):
    n = x.ndim - 2
    pool, step = each(pool_size, n), each(pool_size if strides is None else strides, n)
    first = data_format == "channels_first"
    return ((1, 1, *pool), (1, 1, *step)) if first else ((1, *pool, 1), (1, *step, 1))


def _disjoint(x, window, step, padding):
    """Whether the windows tile `x` without overlap and without padding."""
    return window == step and (padding == "valid" or all(d % w == 0 for d, w in zip(x.shape, window, strict=True)))


def _tiled(x, window, reduce):
    """Pools disjoint windows by a reshape: its gradient is 10 times faster than select-and-scatter."""
    x = x[tuple(slice(0, d // w * w) for d, w in zip(x.shape, window, strict=True))]
    shape, axes = [], []
    for d, w in zip(x.shape, window, strict=True):
        shape.append(d // w)
        if w > 1:
            axes.append(len(shape))
            shape.append(w)
    return reduce(x.reshape(shape), tuple(axes))


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    window, step = _windows(inputs, pool_size, strides, data_format)
    if _disjoint(inputs, window, step, padding):
        return _tiled(inputs, window, jnp.max)
    low = -np.inf if jnp.issubdtype(inputs.dtype, jnp.floating) else jnp.iinfo(inputs.dtype).min
    return lax.reduce_window(inputs, jnp.array(low, inputs.dtype), lax.max, window, step, padding.upper())


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    window, step = _windows(inputs, pool_size, strides, data_format)
    if _disjoint(inputs, window, step, padding):
        return _tiled(inputs, window, jnp.mean)
    total = lax.reduce_window(inputs, jnp.zeros((), inputs.dtype), lax.add, window, step, padding.upper())
    if padding == "valid":
        return total / np.prod(window)
    ones = jnp.ones((1, *inputs.shape[1:]), inputs.dtype)
    count = lax.reduce_window(ones, jnp.zeros((), inputs.dtype), lax.add, window, step, "SAME")
    return total / count
