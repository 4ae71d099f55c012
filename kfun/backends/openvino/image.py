"""Resizing on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.common.resizing import resizing
from kfun.backends.openvino.convolution import opened
from kfun.backends.openvino.value import integers, promoted


def _interpolate(images, size, interpolation, data_format):
    """The CPU's own kernel, which takes `[B, C, H, W]` as it is stored."""
    dtype = promoted(images)
    x, n, close = opened(images, data_format, dtype if dtypes.is_float(dtype) else "float32")
    made = o.interpolate(
        x,
        integers(size),
        _NATIVE[interpolation],
        "sizes",
        coordinate_transformation_mode="half_pixel",
        nearest_mode="round_prefer_ceil",
        axes=integers(list(range(2, n + 2))),
    )
    return close(made)


_NATIVE = {"bilinear": "linear", "nearest": "nearest"}

RULES = {
    "resize": resizing(_interpolate, _NATIVE),
}
