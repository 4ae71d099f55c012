"""Resizing on PyTorch."""

from __future__ import annotations

from torch.nn import functional as F

from kfun.backends.common.resizing import resizing
from kfun.backends.torch.arrays import floating
from kfun.backends.torch.convolution import channels_first, restored


def _bilinear(images, size, interpolation, data_format):
    if not all(isinstance(n, int) for n in size):
        return None
    x = floating(channels_first(images, data_format))
    return restored(F.interpolate(x, size, mode=interpolation, align_corners=False), data_format)


RULES = {
    "resize": resizing(_bilinear, ("bilinear",)),
}
