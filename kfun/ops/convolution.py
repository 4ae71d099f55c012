"""Convolution and pooling.

Shapes: B batch, D... spatial axes, C channels in, F filters out, K... kernel sizes; with
`data_format="channels_last"` (the default) arrays are `[B, D..., C]`, else `[B, C, D...]`.
"""

from __future__ import annotations

from kfun.ops._dispatch import Array, primitive


@primitive
def conv(inputs: Array, kernel: Array, strides=1, padding="valid", data_format=None, dilation_rate=1) -> Array:
    """Convolution over 1 to 3 spatial axes (cross-correlation, as in every framework).

    Args:
        inputs: `[B, D..., C]`.
        kernel: `[K..., C / groups, F]`; the number of groups follows from its size.
        strides: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` (None) or `"channels_first"`.
        dilation_rate: an int or one per spatial axis.

    Returns:
        `[B, D'..., F]`.
    """


@primitive
def depthwise_conv(
    inputs: Array, kernel: Array, strides=1, padding="valid", data_format=None, dilation_rate=1
) -> Array:
    """Convolves each channel alone: kernel `[K..., C, M]`, output channels `C * M`."""


@primitive
def conv_transpose(
    inputs: Array, kernel: Array, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1
) -> Array:
    """The gradient of `conv` with respect to its input, as an op: kernel `[K..., F, C]`.

    Output sizes are Keras's: `"same"` gives `size * stride`, `"valid"`
    `size * stride + max(kernel - stride, 0)`, unless `output_padding` is given.
    """


@primitive
def max_pool(inputs: Array, pool_size, strides=None, padding="valid", data_format=None) -> Array:
    """Maximum over windows; `strides` defaults to `pool_size`."""


@primitive
def average_pool(inputs: Array, pool_size, strides=None, padding="valid", data_format=None) -> Array:
    """Mean over windows; padded places do not count. `strides` defaults to `pool_size`."""
