"""The arithmetic of windows that slide over spatial axes: output sizes and padding, for every adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def each(value, n):
    """An int for every one of `n` spatial axes, or one per axis as a tuple."""
    return (value,) * n if isinstance(value, int) else tuple(value)


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after an axis so that `ceil(size / stride)` windows fit; an odd one goes after."""
    effective = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + effective - size, 0)
    return total // 2, total - total // 2


def checked_padding(padding: str) -> str:
    """`padding` itself, "valid" or "same"; raises ValueError if it is neither."""
    if padding not in ("valid", "same"):
        raise ValueError(f"expected padding 'valid' or 'same'; received {padding!r}")
    return padding


def window_padding(
    sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """Zeros before and after each spatial axis for `padding`."""
    if checked_padding(padding.lower()) == "valid":
        return [(0, 0)] * len(sizes)
    return [same_padding(*axis) for axis in zip(sizes, window, strides, dilation, strict=True)]


def transpose_padding(size: int, stride: int, dilation: int, padding: str, output_padding: int | None):
    """Zeros before and after one axis of the dilated input of a transposed convolution.

    The output has Keras's size: with e the extent of the dilated kernel, `"valid"` gives
    `(n - 1) * stride + max(e, stride)` and `"same"` gives `n * stride`; where `output_padding`
    is given, `(n - 1) * stride + e + output_padding` and
    `(n - 1) * stride + e % 2 + output_padding`.

    Args:
        size: of the kernel along the axis.
    """
    effective = (size - 1) * dilation + 1
    if padding == "valid":
        extra = max(stride - effective, 0) if output_padding is None else output_padding
        return effective - 1, effective - 1 + extra
    if output_padding is None:
        total = stride + effective - 2
    else:
        total = effective + effective % 2 - 2 + output_padding
    before = min((total + 1) // 2, effective - 1)
    return before, total - before


def transpose_cut(size: int, stride: int, dilation: int, padding: str, extra: int | None) -> tuple[int, int]:
    """What Keras's output of a transposed convolution lacks of the full one at each end of an axis.

    A negative number says by how much it is longer. The arguments are those of `transpose_padding`.
    """
    full = (size - 1) * dilation
    before, after = transpose_padding(size, stride, dilation, padding, extra)
    return full - before, full - after


def depthwise(conv: Callable, grouped: Callable[[Any], Any]) -> Callable:
    """The rule of `depthwise_conv` where `conv` takes groups: each channel is one.

    Args:
        conv: the rule of `conv`.
        grouped: makes the kernel `[K..., C, M]` one of `[K..., 1, C M]`.
    """

    def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
        return conv(inputs, grouped(kernel), strides, padding, data_format, dilation_rate)

    return depthwise_conv


def grouped(kernel: Any) -> Any:
    """The kernel `[K..., C, M]` of a depthwise convolution as `[K..., 1, C M]`: that of one in C groups."""
    *window, channels, multiplier = kernel.shape
    return kernel.reshape((*window, 1, channels * multiplier))
