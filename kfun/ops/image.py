"""Images: B batch, H height, W width, C channels."""

from __future__ import annotations

from kfun.ops._dispatch import Array, primitive


@primitive
def resize_images(images: Array, size, interpolation: str = "bilinear", data_format=None) -> Array:
    """Resizes `[B, D, D, C]` images to `size`: `"nearest"` or `"bilinear"` (half-pixel centres, no antialias)."""
