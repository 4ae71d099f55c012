"""Convolution and pooling.

Shapes: B batch, D... spatial axes, C channels in, F filters out, K... kernel sizes; with
`data_format="channels_last"` (the default) arrays are `[B, D..., C]`, else `[B, C, D...]`.
"""

from __future__ import annotations

import numpy as np

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived, primitive
from kfun.ops._precision import dtype_of, narrowed, widened


@primitive
def conv(inputs: Array, kernel: Array, strides=1, padding="valid", data_format=None, dilation_rate=1) -> Array:
    """Convolution over 1 to 3 spatial axes (cross-correlation, as in every framework).

    Args:
        inputs: `[B, D..., C]`.
        kernel: `[K..., C / groups, F]`; the number of groups follows from its size.
        strides: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` (None) or `"channels_first"`.
        dilation_rate: an int or one per spatial axis.

    Returns:
        `[B, D'..., F]`.
    """


@primitive
def depthwise_conv(
    inputs: Array, kernel: Array, strides=1, padding="valid", data_format=None, dilation_rate=1
) -> Array:
    """Convolves each channel alone: kernel `[K..., C, M]`, output channels `C * M`."""


@derived
def separable_conv(
    inputs: Array,
    depthwise_kernel: Array,
    pointwise_kernel: Array,
    strides=1,
    padding="valid",
    data_format=None,
    dilation_rate=1,
) -> Array:
    """Convolves each channel alone, then mixes the channels (Chollet 2016, arXiv:1610.02357).

    Args:
        inputs: `[B, D..., C]`.
        depthwise_kernel: `[K..., C, M]`.
        pointwise_kernel: `[1..., C * M, F]`.
        strides, padding, data_format, dilation_rate: of the first step, as in `conv`.

    Returns:
        `[B, D'..., F]`.
    """
    apart = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(apart, pointwise_kernel, 1, "valid", data_format)


@primitive
def conv_transpose(
    inputs: Array, kernel: Array, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1
) -> Array:
    """The gradient of `conv` with respect to its input, as an op: kernel `[K..., F, C]`.

    Output sizes are Keras's: `"same"` gives `size * stride`, `"valid"`
    `size * stride + max(kernel - stride, 0)`, unless `output_padding` is given.
    """


@primitive
def max_pool(inputs: Array, pool_size, strides=None, padding="valid", data_format=None) -> Array:
    """Maximum over windows; `strides` defaults to `pool_size`."""


@primitive
def average_pool(inputs: Array, pool_size, strides=None, padding="valid", data_format=None) -> Array:
    """Mean over windows; padded places do not count. `strides` defaults to `pool_size`."""


@derived
def adaptive_average_pool(inputs: Array, output_size, data_format=None) -> Array:
    """Mean over windows that divide each spatial axis into so many parts.

    Window i of n along an axis of size d goes from `floor(i * d / n)` up to `ceil((i + 1) * d / n)`.

    Args:
        inputs: `[B, D..., C]`.
        output_size: an int or one per spatial axis.
        data_format: `"channels_last"` (None) or `"channels_first"`.

    Returns:
        `[B, D'..., C]`, floating.

    Raises:
        ValueError: if a spatial size is only known at run time and the backend has no such pooling.
    """
    x = e.multiply(widened(inputs), 1.0)
    for axis, size, parts in _divided("adaptive_average_pool", x, output_size, data_format):
        if size % parts == 0:
            x = r.mean(_blocks(x, axis, parts), axis + 1)
            continue
        index, length = _windows(size, parts)
        inside = np.arange(index.shape[1]) < length[:, None]
        share = (inside / length[:, None]).astype(dtype_of(x))
        share = share.reshape(*share.shape, *(1,) * (len(c.shape(x)) - axis - 1))
        x = r.sum(e.multiply(s.take(x, index, axis), share), axis + 1)
    return narrowed(x, inputs)


@derived
def adaptive_max_pool(inputs: Array, output_size, data_format=None) -> Array:
    """Maximum over the windows of `adaptive_average_pool`."""
    x = inputs
    for axis, size, parts in _divided("adaptive_max_pool", x, output_size, data_format):
        blocks = _blocks(x, axis, parts) if size % parts == 0 else s.take(x, _windows(size, parts)[0], axis)
        x = r.max(blocks, axis + 1)
    return x


def _divided(name, x, output_size, data_format):
    """The spatial axes with their sizes and the numbers of their parts."""
    n, first = len(c.shape(x)) - 2, 2 if data_format == "channels_first" else 1
    parts = (output_size,) * n if isinstance(output_size, int) else tuple(output_size)
    sizes = c.shape(x)[first : first + n]
    if len(parts) != n or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(
            f"ops.{name}: expected known spatial sizes and an output size for each; received sizes "
            f"{tuple(size if isinstance(size, int) else None for size in sizes)} and output_size {output_size!r}"
        )
    return [(first + i, size, part) for i, (size, part) in enumerate(zip(sizes, parts, strict=True))]


def _blocks(x, axis, parts):
    sizes = list(c.shape(x))
    sizes[axis : axis + 1] = [parts, sizes[axis] // parts]
    return s.reshape(x, sizes)


def _windows(size, parts):
    """`[parts, K]` indices of the windows, the shorter filled with their last place, and their lengths."""
    start, end = np.arange(parts) * size // parts, -(-np.arange(1, parts + 1) * size // parts)
    index = start[:, None] + np.arange(np.max(end - start))
    return np.minimum(index, end[:, None] - 1).astype("int32"), end - start
