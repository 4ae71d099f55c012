"""Colours of images: red, green and blue; hue, saturation and value; luminance."""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._precision import dtype_of, epsilon


@derived
def rgb_to_grayscale(images: Array, data_format=None) -> Array:
    """Luminance, with one channel; an image of one channel stays as it is. Integers are rounded towards 0.

    Args:
        images: `[B, H, W, C]` or `[H, W, C]`, C 3 or 1.
    """
    axis = _channel_axis("rgb_to_grayscale", images, data_format)
    channels = c.shape(images)[axis]
    if isinstance(channels, int) and channels not in (1, 3):
        raise ValueError(f"ops.rgb_to_grayscale: expected 1 or 3 channels. Received: images.shape={c.shape(images)}")
    if isinstance(channels, int) and channels == 1:
        return images
    red, green, blue = s.split(c.cast(images, dtypes.inexact(dtype_of(images))), 3, axis)
    return c.cast(red * 0.2989 + green * 0.5870 + blue * 0.1140, dtype_of(images))


def _channel_axis(op, images, data_format):
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"ops.{op}: expected data_format 'channels_last' or 'channels_first'; received {data_format!r}"
        )
    if len(c.shape(images)) not in (3, 4):
        raise ValueError(
            f"ops.{op}: expected 3 axes (one image) or 4 (a batch). Received: images.shape={c.shape(images)}"
        )
    return -3 if data_format == "channels_first" else -1


def _planes(op, images, data_format):
    """The three channels, each with an axis of 1, and that axis."""
    axis = _channel_axis(op, images, data_format)
    if not dtypes.is_float(dtype_of(images)):
        raise ValueError(f"ops.{op}: expected floating images; received {dtype_of(images)}: cast and scale them")
    channels = c.shape(images)[axis]
    if isinstance(channels, int) and channels != 3:
        raise ValueError(
            f"ops.{op}: expected 3 channels; received {channels}. Received: images.shape={c.shape(images)}"
        )
    return s.split(images, 3, axis), axis


@derived
def rgb_to_hsv(images: Array, data_format=None) -> Array:
    """Hue, saturation and value, each in [0, 1], of floating red, green and blue in [0, 1]."""
    tiny = epsilon(dtype_of(images)) if dtypes.is_float(dtype_of(images)) else 0
    (red, green, blue), axis = _planes("rgb_to_hsv", images, data_format)
    red, green, blue = (e.where(e.less(e.abs(v), tiny), 0, v) for v in (red, green, blue))
    value = e.maximum(e.maximum(red, green), blue)
    extent = value - e.minimum(e.minimum(red, green), blue)
    coloured, lit = e.greater(extent, 0), e.greater(value, 0)
    saturation = e.where(lit, extent / e.where(lit, value, 1), 0)
    sixth = e.divide(1, 6 * e.where(coloured, extent, 1))
    from_green, from_blue = (blue - red) * sixth + 2 / 6, (red - green) * sixth + 4 / 6
    hue = e.where(e.equal(value, red), (green - blue) * sixth, e.where(e.equal(value, green), from_green, from_blue))
    hue = e.where(coloured, hue + c.cast(e.less(hue, 0), dtype_of(hue)), 0)
    return s.concatenate([hue, saturation, value], axis)


@derived
def hsv_to_rgb(images: Array, data_format=None) -> Array:
    """Red, green and blue of floating hue, saturation and value: the inverse of `rgb_to_hsv`."""
    (hue, saturation, value), axis = _planes("hsv_to_rgb", images, data_format)
    angle = e.mod(hue, 1) * 6
    shares = e.abs(angle - 3) - 1, 2 - e.abs(angle - 2), 2 - e.abs(angle - 4)
    return s.concatenate([value * (1 - saturation + saturation * e.clip(v, 0, 1)) for v in shares], axis)
