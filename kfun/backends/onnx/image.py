"""Resizing on ONNX."""

from __future__ import annotations

from kfun import dtypes
from kfun.backends.common.resizing import resizing
from kfun.backends.onnx.convolution import opened
from kfun.backends.onnx.value import emit, integers, promoted

_RESIZED = {"bilinear": "linear", "nearest": "nearest"}


def _interpolated(images, size, interpolation, data_format):
    dtype = promoted(images)
    x, _, close = opened(images, data_format, dtype if dtypes.is_float(dtype) else "float32")
    sizes = [*x.shape[:2], *size]
    options = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}
    mode = _RESIZED[interpolation]
    return close(emit("Resize", x, None, None, integers(sizes), mode=mode, shape=sizes, **options))


RULES = {
    "resize": resizing(_interpolated, _RESIZED),
}
