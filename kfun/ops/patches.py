"""Windows of images as columns and back, and blocks of places as channels and back. B batch, C channels."""

from __future__ import annotations

import numpy as np

from kfun.ops import creation as c
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived


@derived
def unfold(x: Array, kernel_size, dilation=1, padding=0, stride=1) -> Array:
    """Sliding windows of a channels-first image as columns.

    Args:
        x: `[B, C, H, W]`.
        kernel_size: of the windows, an int or `(kH, kW)`; so are the others.
        dilation: steps within a window.
        padding: zeros around the image, on each side.
        stride: steps of the window.

    Returns:
        `[B, C * kH * kW, L]`, L the number of windows, row by row.

    Raises:
        ValueError: if `x` has not 4 axes, or no window fits.
    """
    if len(c.shape(x)) != 4:
        raise ValueError(f"ops.unfold: expected x of shape [B, C, H, W]; received {len(c.shape(x))} axes")
    window, steps, pads, strides = map(_pair, (kernel_size, dilation, padding, stride))
    if any(pads):
        x = s.pad(x, ((0, 0), (0, 0), (pads[0], pads[0]), (pads[1], pads[1])))
    batch, channels, height, width = c.shape(x)
    for i, (axis, size) in enumerate(((2, height), (4, width))):  # [B, C, kH, oH, W], then [B, C, kH, oH, kW, oW]
        reach = (window[i] - 1) * steps[i] + 1
        if isinstance(size, int) and size < reach:
            raise ValueError(
                f"ops.unfold: a window of {reach} places (kernel_size {window[i]}, dilation {steps[i]}) does not fit "
                f"into {size} padded ones"
            )
        count = (size - reach) // strides[i] + 1
        x = s.take(x, _places(window[i], steps[i], count, strides[i]), axis)
    *_, rows, _, columns = c.shape(x)
    x = s.transpose(x, (0, 1, 2, 4, 3, 5))  # [B, C, kH, kW, oH, oW]
    return s.reshape(x, (batch, channels * window[0] * window[1], rows * columns))


def _places(window, dilation, count, stride):
    """`[window, count]` indices: where the elements of each window lie along an axis."""
    within = np.arange(window, dtype="int32")[:, None] * dilation
    if isinstance(count, int):
        return within + np.arange(count, dtype="int32") * stride
    return c.arange(0, count, 1, "int32") * stride + within


@derived
def fold(x: Array, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Array:
    """The image whose places are the sums of what windows hold there: the transpose of `unfold`.

    Args:
        x: `[B, C * kH * kW, L]`.
        output_size: of the image, an int or `(H, W)`.
        kernel_size, dilation, padding, stride: as in `unfold`.

    Returns:
        `[B, C, H, W]`.

    Raises:
        ValueError: if `x` does not have the sizes that `unfold` would give.
    """
    size, window, steps, pads, strides = map(_pair, (output_size, kernel_size, dilation, padding, stride))
    axes = list(zip(size, window, steps, pads, strides, strict=True))
    counts = [(n + 2 * p - d * (k - 1) - 1) // t + 1 for n, k, d, p, t in axes]
    batch, channels, length = c.shape(x) if len(c.shape(x)) == 3 else (None, 1, 0)
    ragged = isinstance(channels, int) and channels % (window[0] * window[1])
    if len(c.shape(x)) != 3 or ragged or (isinstance(length, int) and length != counts[0] * counts[1]):
        raise ValueError(
            f"ops.fold: expected x of shape [B, C * {window[0] * window[1]}, {counts[0] * counts[1]}] for an image of "
            f"{size}; received shape {tuple(n if isinstance(n, int) else None for n in c.shape(x))}"
        )
    channels = channels // (window[0] * window[1])
    x = s.reshape(x, (batch, channels, *window, *counts))
    x = s.transpose(x, (3, 5, 2, 4, 0, 1))  # [kW, oW, kH, oH, B, C]
    x = _summed(s.reshape(x, (window[1] * counts[1], window[0], counts[0], batch, channels)), *axes[1])
    x = s.transpose(x, (1, 2, 0, 3, 4))  # [kH, oH, W, B, C]
    x = _summed(s.reshape(x, (window[0] * counts[0], size[1], batch, channels)), *axes[0])
    return s.transpose(x, (2, 3, 0, 1))


def _summed(x, size, window, dilation, padding, stride):
    """Adds up the rows that belong to one place of an axis: `[window * count, ...]` to `[size, ...]`."""
    whole = size + 2 * padding
    places = _places(window, dilation, (whole - (window - 1) * dilation - 1) // stride + 1, stride)
    x = s.segment_sum(x, places.reshape(-1), whole)
    return s.getitem(x, slice(padding, padding + size)) if padding else x


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


@derived
def depth_to_space(x: Array, block_size: int, data_format: str = "channels_last") -> Array:
    """Channels as blocks of places (sub-pixel convolution, Shi et al. 2016, arXiv:1609.05158).

    Channels last, the place in the block is the slower part of the channel number, as in
    TensorFlow; channels first it is the faster part, as in PyTorch's pixel shuffle. Keras has both.

    Args:
        x: `[B, H, W, C * b * b]`, or `[B, C * b * b, H, W]` for `"channels_first"`.
        block_size: b.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `[B, H * b, W * b, C]` or `[B, C, H * b, W * b]`.

    Raises:
        ValueError: if the channels do not divide.
    """
    b, last = block_size, _last("depth_to_space", x, block_size, data_format)
    batch, *sizes = c.shape(x)
    height, width, depth = sizes if last else (*sizes[1:], sizes[0])
    if isinstance(depth, int) and depth % (b * b):
        raise ValueError(f"ops.depth_to_space: {depth} channels do not divide into blocks of {b} x {b}")
    channels = depth // (b * b)
    if last:
        x = s.transpose(s.reshape(x, (batch, height, width, b, b, channels)), (0, 1, 3, 2, 4, 5))
        return s.reshape(x, (batch, height * b, width * b, channels))
    x = s.transpose(s.reshape(x, (batch, channels, b, b, height, width)), (0, 1, 4, 2, 5, 3))
    return s.reshape(x, (batch, channels, height * b, width * b))


@derived
def space_to_depth(x: Array, block_size: int, data_format: str = "channels_last") -> Array:
    """Blocks of places as channels: the inverse of `depth_to_space`.

    Args:
        x: `[B, H * b, W * b, C]`, or `[B, C, H * b, W * b]` for `"channels_first"`.
        block_size: b.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `[B, H, W, C * b * b]` or `[B, C * b * b, H, W]`.

    Raises:
        ValueError: if the image does not divide into blocks.
    """
    b, last = block_size, _last("space_to_depth", x, block_size, data_format)
    batch, *sizes = c.shape(x)
    height, width, channels = sizes if last else (*sizes[1:], sizes[0])
    if any(isinstance(n, int) and n % b for n in (height, width)):
        raise ValueError(f"ops.space_to_depth: an image of {height} x {width} does not divide into blocks of {b} x {b}")
    rows, columns = height // b, width // b
    if last:
        x = s.transpose(s.reshape(x, (batch, rows, b, columns, b, channels)), (0, 1, 3, 2, 4, 5))
        return s.reshape(x, (batch, rows, columns, channels * (b * b)))
    x = s.transpose(s.reshape(x, (batch, channels, rows, b, columns, b)), (0, 1, 3, 5, 2, 4))
    return s.reshape(x, (batch, channels * (b * b), rows, columns))


def _last(name, x, block_size, data_format):
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"ops.{name}: expected 'channels_last' or 'channels_first'; received {data_format!r}")
    if not isinstance(block_size, int) or block_size < 1:
        raise ValueError(f"ops.{name}: expected a block_size of at least 1; received {block_size!r}")
    if len(c.shape(x)) != 4:
        raise ValueError(f"ops.{name}: expected images with 4 axes; received {len(c.shape(x))}")
    return data_format == "channels_last"
