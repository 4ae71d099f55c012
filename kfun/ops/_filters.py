"""Small filters over images `[B, H, W, C]`, and the patches that they slide over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kfun import dtypes
from kfun.ops import convolution as conv
from kfun.ops import creation as c
from kfun.ops import shaping as s
from kfun.ops._precision import dtype_of
from kfun.ops._resampling import counted


def batched(op: str, images: Any, data_format: str | None, ranks: Sequence[int] = (3, 4)) -> tuple[Any, Any]:
    """`[B, H, W, C]` of one image or several in either order, and what takes a result `[B, H, W, C, ...]` back."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"ops.{op}: expected data_format 'channels_last' or 'channels_first'; received {data_format!r}"
        )
    shape = c.shape(images)
    if len(shape) not in ranks:
        raise ValueError(f"ops.{op}: expected 3 axes (one image) or 4 (a batch); received shape {shape}")
    single, first = len(shape) == 3, data_format == "channels_first"
    x = s.expand_dims(images, 0) if single else images
    x = s.moveaxis(x, 1, -1) if first else x

    def back(y):
        y = s.moveaxis(y, 3, 1) if first else y
        return s.squeeze(y, 0) if single else y

    return x, back


def filtered(x: Any, kernels: np.ndarray, padding: str = "same") -> Any:
    """Each channel of `[B, H, W, C]` under F filters `[K, K, F]`: `[B, H, W, C, F]`, in at least float32.

    The channels go with the batch, so that their number may be open.
    """
    dtype = dtypes.inexact(dtype_of(x))
    dtype = "float32" if dtype in ("float16", "bfloat16") else dtype
    batch, height, width, channels = c.shape(x)
    planes = s.reshape(s.transpose(c.cast(x, dtype), (0, 3, 1, 2)), (-1, height, width, 1))  # [B * C, H, W, 1]
    out = conv.conv(planes, kernels[:, :, None].astype(dtype), 1, padding)
    _, height, width, count = c.shape(out)
    return s.transpose(s.reshape(out, (batch, channels, height, width, count)), (0, 2, 3, 1, 4))


def gaussian(size: int, sigma: float) -> np.ndarray:
    """`[size]`: the normal density around the middle, with the sum 1."""
    at = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(at**2) / (2 * sigma**2))
    return weights / weights.sum()


SOBEL = np.stack([np.outer([-1, 0, 1], [1, 2, 1]), np.outer([1, 2, 1], [-1, 0, 1])], -1)  # [3, 3, 2]: dy, dx


def patches(
    op: str, x: Any, size: Sequence[int], strides: Any, dilation_rate: Any, padding: str, data_format: str | None
) -> Any:
    """Windows of `[B, D..., C]` as vectors, `[B, D'..., size * C]`; see `image.extract_patches`."""
    n = len(size)
    if data_format not in (None, "channels_last", "channels_first") or padding not in ("valid", "same"):
        raise ValueError(
            f"ops.{op}: expected padding 'valid' or 'same' and data_format 'channels_last' or 'channels_first'; "
            f"received {padding!r} and {data_format!r}"
        )
    rank = len(c.shape(x))
    if rank not in (n + 1, n + 2):
        raise ValueError(f"ops.{op}: expected {n + 1} axes, or {n + 2} with a batch; received shape {c.shape(x)}")
    x = s.expand_dims(x, 0) if rank == n + 1 else x
    x = s.moveaxis(x, 1, -1) if data_format == "channels_first" else x
    strides = (strides,) * n if isinstance(strides, int) else tuple(strides or size)
    dilations = (dilation_rate,) * n if isinstance(dilation_rate, int) else tuple(dilation_rate)
    for axis, (window, stride, dilation) in enumerate(zip(size, strides, dilations, strict=True)):
        x = _windows(op, x, 1 + 2 * axis, window, stride, dilation, padding)  # D becomes D', window
    order = (0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
    shape = c.shape(x)
    out = [shape[i] for i in order[: n + 1]]
    x = s.reshape(s.transpose(x, order), (*out, math.prod(size) * shape[-1]))
    x = s.moveaxis(x, -1, 1) if data_format == "channels_first" else x
    return s.squeeze(x, 0) if rank == n + 1 else x


def _windows(op: str, x: Any, axis: int, window: int, stride: int, dilation: int, padding: str) -> Any:
    """`x` with one axis replaced by two: which window, and where in it."""
    shape = c.shape(x)
    length, extent = shape[axis], (window - 1) * dilation + 1
    count = (length - extent) // stride + 1
    if padding == "same":
        count = -(-length // stride)
        total = (count - 1) * stride + extent - length  # less than 0 only where windows leave gaps
        if isinstance(total, int):
            total = max(total, 0)
        elif stride > extent:
            raise ValueError(f"ops.{op}: a stride of {stride} beyond the window's {extent} needs a size that is known")
        ends = [(0, 0)] * len(shape)
        ends[axis] = (total // 2, total - total // 2)
        x = s.pad(x, ends)
    if dilation == 1 and stride == window and padding == "valid" and isinstance(length, int):
        x = s.getitem(x, (*[slice(None)] * axis, slice(0, count * window)))
        return s.reshape(x, (*shape[:axis], count, window, *shape[axis + 1 :]))
    places = counted(count)[:, None] * stride + np.arange(window, dtype="int32") * dilation
    return s.take(x, places, axis)
