"""Images: B batch, H height, W width, C channels.

`images` are `[B, H, W, C]`, or one image `[H, W, C]`; with `data_format="channels_first"`
`[B, C, H, W]` or `[C, H, W]`. Pixels keep their type unless said otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kfun import dtypes
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops import _colour, _warping
from kfun.ops import _filters as filters
from kfun.ops import _resampling as resampling
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Scalar, derived
from kfun.ops._precision import dtype_of, widened

rgb_to_grayscale = _colour.rgb_to_grayscale
rgb_to_hsv = _colour.rgb_to_hsv
hsv_to_rgb = _colour.hsv_to_rgb
map_coordinates = _warping.map_coordinates
affine_transform = _warping.affine_transform
perspective_transform = _warping.perspective_transform
elastic_transform = _warping.elastic_transform


@derived
def resize(
    images: Array,
    size,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format=None,
) -> Array:
    """Resizes to `size`, with half-pixel centres; integers are rounded.

    Args:
        size: `(height, width)`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: whether every pixel counts where the image becomes smaller.
        crop_to_aspect_ratio: cuts the middle that has the proportions of `size` out first.
        pad_to_aspect_ratio: adds borders of `fill_value` first, so that nothing is cut or distorted.
        fill_mode: `"constant"`.
    """
    size = tuple(size)
    known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    if interpolation not in known:
        raise ValueError(f"ops.resize: expected an interpolation among {', '.join(known)}; received {interpolation!r}")
    if len(size) != 2 or any(isinstance(n, int) and n <= 0 for n in size):
        raise ValueError(f"ops.resize: expected positive sizes; received {size!r}")
    if fill_mode != "constant":
        raise ValueError(f"ops.resize: expected fill_mode 'constant'; received {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("ops.resize: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other; choose one")
    axes = _spatial("resize", images, data_format)
    x = widened(images)
    if crop_to_aspect_ratio:
        x = _cropped_to(x, axes, size)
    elif pad_to_aspect_ratio:
        x = _padded_to(x, axes, size, fill_value)
    return resampling.rounded(resampling.resized(x, axes, size, interpolation, antialias), dtype_of(images))


def _spatial(op, images, data_format):
    """The axes of height and width."""
    shape = c.shape(images)
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"ops.{op}: expected data_format 'channels_last' or 'channels_first'; received {data_format!r}"
        )
    if len(shape) not in (3, 4):
        raise ValueError(f"ops.{op}: expected 3 axes (one image) or 4 (a batch); received shape {shape}")
    first = len(shape) - (2 if data_format == "channels_first" else 3)
    return first, first + 1


def _proportions(x, axes, size):
    """The sizes of `x`, and those that its width and its height ask of the other one."""
    height, width = (c.shape(x)[axis] for axis in axes)
    if not isinstance(height, int) or not isinstance(width, int):
        raise ValueError("ops.resize: keeping the aspect ratio needs a height and a width that are known")
    return height, width, width * size[0] // size[1], height * size[1] // size[0]


def _cropped_to(x, axes, size):
    height, width, fitting_height, fitting_width = _proportions(x, axes, size)
    for axis, old, fitting in zip(axes, (height, width), (fitting_height, fitting_width), strict=True):
        new = max(min(old, fitting), 1)
        start = (old - new) // 2
        x = s.getitem(x, (*[slice(None)] * axis, slice(start, start + new)))
    return x


def _padded_to(x, axes, size, fill_value):
    height, width, fitting_height, fitting_width = _proportions(x, axes, size)
    rows, columns = max(fitting_height - height, 0) // 2, max(fitting_width - width, 0) // 2
    ends = [(0, 0)] * len(c.shape(x))
    ends[axes[0]] = (rows, rows)
    ends[axes[1]] = (0, 0) if rows else (columns, columns)
    return s.pad(c.cast(x, dtypes.inexact(dtype_of(x))), ends, "constant", fill_value)


@derived
def scale_and_translate(
    images: Array, output_shape, scale: Array, translation: Array, spatial_dims, method: str, antialias: bool = True
) -> Array:
    """Resamples so that place `i` of a source axis comes to `i * scale + translation`; floating.

    Args:
        images: any shape.
        output_shape: of the result, all its axes.
        scale: `[K]`, a factor per axis of `spatial_dims`.
        translation: `[K]`, in pixels of the result.
        spatial_dims: the K axes that are resampled.
        method: `"linear"` (`"bilinear"`, `"trilinear"`), `"cubic"` (`"bicubic"`, `"tricubic"`),
            `"lanczos3"` or `"lanczos5"`.
        antialias: whether every pixel counts where the image becomes smaller.

    Returns:
        `output_shape`; 0 where the source has nothing.
    """
    if method not in resampling.KERNELS:
        known = ", ".join(resampling.KERNELS)
        raise ValueError(f"ops.scale_and_translate: expected a method among {known}; received {method!r}")
    dtype = dtypes.inexact(dtype_of(images))
    x = widened(c.cast(images, dtype))
    scale, translation = (c.cast(v, dtypes.inexact(dtype_of(v))) for v in (scale, translation))
    for i, axis in enumerate(spatial_dims):
        axis %= len(c.shape(x))
        old, new = c.shape(x)[axis], output_shape[axis]
        step = e.divide(1, s.getitem(scale, i))
        offset = e.negative(e.multiply(s.getitem(translation, i), step))
        source, target = (c.cast(_counted_like(n, step), dtype_of(step)) for n in (old, new))
        kernel = resampling.KERNELS[method]
        weights, at = resampling.filter_weights(e, kernel, source[:, None], target[None], step, offset, antialias)
        inside = e.logical_and(e.greater_equal(at, -0.5), e.less_equal(at, old - 0.5))
        x = resampling.contracted(x, axis, c.cast(e.where(inside, weights, 0), dtype_of(x)))
    return c.cast(x, dtype)


def _counted_like(n, like):
    """`0, 1, ... n - 1` in the kind of `like`, a scalar array."""
    return e.add(resampling.counted(n), c.cast(c.zeros_like(like), "int32"))


@derived
def crop_images(
    images: Array,
    top_cropping=None,
    left_cropping=None,
    bottom_cropping=None,
    right_cropping=None,
    target_height=None,
    target_width=None,
    data_format=None,
) -> Array:
    """Cuts borders off; two of top, bottom and target height are given, and of left, right and target width."""
    axes = _spatial("crop_images", images, data_format)
    sizes = [c.shape(images)[axis] for axis in axes]
    sides: Any = ((top_cropping, bottom_cropping, target_height), (left_cropping, right_cropping, target_width))
    for axis, size, (before, after, target), names in zip(axes, sizes, sides, _sides("cropping"), strict=True):
        _two_of_three("crop_images", (before, after, target), names)
        before = size - target - after if before is None else before
        target = size - before - after if target is None else target
        _not_negative("crop_images", (names[0], before), (names[2], target))
        images = s.getitem(images, (*[slice(None)] * axis, slice(before, before + target)))
    return images


@derived
def pad_images(
    images: Array,
    top_padding=None,
    left_padding=None,
    bottom_padding=None,
    right_padding=None,
    target_height=None,
    target_width=None,
    data_format=None,
) -> Array:
    """Adds borders of zeros; two of top, bottom and target height are given, and of left, right and target width."""
    axes = _spatial("pad_images", images, data_format)
    ends: list[tuple] = [(0, 0)] * len(c.shape(images))
    sides: Any = ((top_padding, bottom_padding, target_height), (left_padding, right_padding, target_width))
    for axis, (before, after, target), names in zip(axes, sides, _sides("padding"), strict=True):
        _two_of_three("pad_images", (before, after, target), names)
        size = c.shape(images)[axis]
        before = target - after - size if before is None else before
        after = target - before - size if after is None else after
        _not_negative("pad_images", (names[0], before), (names[1], after))
        ends[axis] = (before, after)
    return s.pad(images, ends)


def _sides(what):
    """The names of the arguments of height and of width."""
    return (f"top_{what}", f"bottom_{what}", "target_height"), (f"left_{what}", f"right_{what}", "target_width")


def _two_of_three(op, given, names):
    if sum(v is None for v in given) != 1:
        raise ValueError(f"ops.{op}: Must specify exactly two of {', '.join(names)}. Received: {given}")


def _not_negative(op, *sizes):
    for name, n in sizes:
        if isinstance(n, int) and n < 0:
            raise ValueError(f"ops.{op}: {name} must be >= 0, and the borders must fit the image. Received: {name}={n}")


@derived
def extract_patches(
    images: Array, size, strides=None, dilation_rate=1, padding: str = "valid", data_format=None
) -> Array:
    """Windows over images, as vectors.

    Args:
        images: `[B, H, W, C]` or `[H, W, C]`; volumes if `size` has three numbers.
        size: of the windows: one number for both axes, or `(height, width)`.
        strides: between windows; `size` by default.
        dilation_rate: between the pixels of a window.
        padding: `"valid"`, or `"same"` for `ceil(H / stride)` windows, with zeros outside.

    Returns:
        `[B, H', W', height * width * C]`; `[B, height * width * C, H', W']` for channels first.
    """
    size = (size, size) if isinstance(size, int) else tuple(size)
    if len(size) not in (2, 3):
        raise ValueError(f"ops.extract_patches: expected a size of 2 or 3 numbers; received {size!r}")
    return filters.patches("extract_patches", images, size, strides, dilation_rate, padding, data_format)


@derived
def extract_patches_3d(
    volumes: Array, size, strides=None, dilation_rate=1, padding: str = "valid", data_format=None
) -> Array:
    """As `extract_patches`, over volumes `[B, D, H, W, C]` or `[D, H, W, C]`: `[B, D', H', W', size * C]`."""
    size = (size,) * 3 if isinstance(size, int) else tuple(size)
    if len(size) != 3:
        raise ValueError(f"ops.extract_patches_3d: expected a size of 3 numbers; received {size!r}")
    return filters.patches("extract_patches_3d", volumes, size, strides, dilation_rate, padding, data_format)


@derived
def gaussian_blur(images: Array, kernel_size=(3, 3), sigma=(1.0, 1.0), data_format=None) -> Array:
    """Smooths by a normal density; there are zeros outside. Integers are rounded.

    Args:
        kernel_size: `(width, height)` of the filter.
        sigma: the standard deviations, `(along the width, along the height)`, in pixels.
    """
    x, back = filters.batched("gaussian_blur", images, data_format)
    across, down = (filters.gaussian(n, deviation) for n, deviation in zip(kernel_size, sigma, strict=True))
    out = filters.filtered(x, np.outer(down, across)[..., None])
    return back(resampling.rounded(s.squeeze(out, -1), dtype_of(images)))


@derived
def sobel_edges(images: Array, data_format=None) -> Array:
    """Slopes by the Sobel filter, along the height and along the width: `[B, H, W, C, 2]`; zeros outside.

    Of integers exact, as far as their type holds them.
    """
    x, back = filters.batched("sobel_edges", images, data_format)
    out = back(filters.filtered(x, filters.SOBEL))
    dtype = dtype_of(images)
    return c.cast(out if dtypes.is_float(dtype) else c.cast(out, "int32"), dtype)


@derived
def ssim(
    image1: Array,
    image2: Array,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format=None,
) -> Array:
    """Structural similarity, the mean over pixels and channels (Wang et al. 2004, doi:10.1109/TIP.2003.819861).

    Args:
        image1, image2: of one shape, with a height and a width of at least `filter_size`.
        max_val: the range of the pixels.
        filter_size, filter_sigma: of the Gaussian window.
        k1, k2: keep quotients of small means and variances in bounds.

    Returns:
        `[B]`, or one number for one image, in the type of `image1`.
    """
    _same_shape("ssim", image1, image2)
    x, _ = filters.batched("ssim", image1, data_format)
    y, _ = filters.batched("ssim", image2, data_format)
    dtype = dtypes.inexact(dtype_of(x), dtype_of(y))
    x, y = (widened(c.cast(v, dtype)) for v in (x, y))
    weights = filters.gaussian(filter_size, filter_sigma)
    window = np.outer(weights, weights)[..., None]
    mean_x, mean_y, xx, yy, xy = (
        filters.filtered(v, window, "valid") for v in (x, y, e.multiply(x, x), e.multiply(y, y), e.multiply(x, y))
    )
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    squares, product = mean_x * mean_x + mean_y * mean_y, mean_x * mean_y
    likeness = (2 * product + c1) * (2 * (xy - product) + c2)
    scale = (squares + c1) * (xx + yy - squares + c2)
    found = r.mean(e.divide(likeness, scale), (1, 2, 3, 4))
    found = s.squeeze(found, 0) if len(c.shape(image1)) == 3 else found
    return c.cast(found, dtype_of(image1))


@derived
def psnr(x1: Array, x2: Array, max_val: Scalar) -> Array:
    """Peak signal-to-noise ratio in decibels: `20 log10(max_val) - 10 log10(mean((x1 - x2) ** 2))`.

    A scalar; infinite for arrays that are equal.
    """
    _same_shape("psnr", x1, x2)
    dtype = dtypes.inexact(dtype_of(x1), dtype_of(x2))
    difference = e.subtract(*(widened(c.cast(v, dtype)) for v in (x1, x2)))
    noise = e.log(r.mean(e.multiply(difference, difference)))
    peak = e.log(e.add(c.zeros_like(noise), max_val))
    return c.cast((2 * peak - noise) * (10 / math.log(10)), dtype)


def _same_shape(op, x, y):
    shapes = c.shape(x), c.shape(y)
    known = all(not (isinstance(m, int) and isinstance(n, int)) or m == n for m, n in zip(*shapes, strict=False))
    if len(shapes[0]) != len(shapes[1]) or not known:
        raise ValueError(f"ops.{op}: expected arrays of one shape; received {shapes[0]} and {shapes[1]}")


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
