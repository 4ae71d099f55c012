"""`resize` where a framework has a kernel that gives the same: the plain cases go to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kfun.ops._dispatch import OPS
from kfun.ops._precision import dtype_of
from kfun.ops._resampling import rounded


def resizing(native: Callable[..., Any], methods: Sequence[str]) -> Callable:
    """The rule of `resize` that knows a native way for batches, without antialiasing.

    Args:
        native: `native(images, size, interpolation, data_format)`, or None where it has none; integers
            may come back floating.
        methods: the interpolations of `native`.
    """

    def rule(
        images, size, interpolation="bilinear", antialias=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False,
        fill_mode="constant", fill_value=0.0, data_format=None,
    ):  # fmt: skip
        plain = interpolation in methods and not (antialias or crop_to_aspect_ratio or pad_to_aspect_ratio)
        valid = len(images.shape) == 4 and len(size) == 2 and all(not isinstance(n, int) or n > 0 for n in size)
        valid = valid and fill_mode == "constant" and data_format in (None, "channels_last", "channels_first")
        found = native(images, tuple(size), interpolation, data_format) if plain and valid else None
        if found is None:
            options = (crop_to_aspect_ratio, pad_to_aspect_ratio, fill_mode, fill_value, data_format)
            return OPS["resize"].body(images, size, interpolation, antialias, *options)
        return rounded(found, dtype_of(images))

    return rule
