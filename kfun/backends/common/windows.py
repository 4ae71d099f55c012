"""The arithmetic of windows that slide over spatial axes: output sizes and padding, for every adapter."""

from __future__ import annotations


def each(value, n):
    """An int for every one of `n` spatial axes, or one per axis as a tuple."""
    return (value,) * n if isinstance(value, int) else tuple(value)


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after an axis so that `ceil(size / stride)` windows fit; an odd one goes after."""
    effective = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + effective - size, 0)
    return total // 2, total - total // 2


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
