"""Convolution and pooling on TensorFlow.

Everything is computed channels last, as the CPU kernels want it; `channels_first` arrays are
transposed around, and one spatial axis is taken as two. Data formats are spelt out because the
eager gradient of `Conv3D` reads the attribute and fails on its default.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from kfun.backends.common.windows import checked_padding, each, transpose_cut
from kfun.backends.tensorflow.arrays import HALF, as_floating, common, rank, size, sizes, to_shape

_FORMATS = {2: "NHWC", 3: "NDHWC"}


def _channels_last(op, x, data_format):
    """`op(x)` on channels last, for arrays in either format."""
    if data_format != "channels_first":
        return op(x)
    n = rank(x)
    out = op(tf.transpose(x, (0, *range(2, n), 1)))
    return tf.transpose(out, (0, n - 1, *range(1, n - 1)))


def _operands(inputs, kernel):
    """Both in their common type, integers as float64, with the type of the result."""
    inputs, kernel = common((inputs, kernel))
    dtype = inputs.dtype
    if dtype.is_floating:
        return inputs, kernel, dtype
    return tf.cast(inputs, tf.float64), tf.cast(kernel, tf.float64), dtype


def same_padding(size, window, stride):
    """`(before, after)` of one axis: total `max((ceil(size / stride) - 1) * stride + window - size, 0)`."""
    total = (-(-size // stride) - 1) * stride + window - size
    total = max(total, 0) if isinstance(total, int) else tf.maximum(total, 0)
    return total // 2, total - total // 2


def _padded(x, window, strides, padding):
    if padding == "valid":
        return x
    pairs = [same_padding(size(x, i + 1), w, s) for i, (w, s) in enumerate(zip(window, strides, strict=True))]
    return tf.pad(x, tf.stack([to_shape(p) for p in ((0, 0), *pairs, (0, 0))]))


def _effective(window, dilation):
    return [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = rank(inputs) - 2
    strides, dilation, padding = each(strides, n), each(dilation_rate, n), checked_padding(padding)
    inputs, kernel, dtype = _operands(inputs, kernel)

    def op(x):
        if n == 1:
            out = _conv(x[:, None], kernel[None], (1, *strides), padding, (1, *dilation))
            return out[:, 0]
        return _conv(x, kernel, strides, padding, dilation)

    return tf.cast(_channels_last(op, inputs, data_format), dtype)


def _conv(x, kernel, strides, padding, dilation):
    dilated = max(dilation) > 1
    if dilated and max(strides) > 1:
        # No kernel does both: every place is computed, and those between the strides are dropped.
        x = _padded(x, _effective(kernel.shape[:-2], dilation), strides, padding)
        dense = _conv(x, kernel, (1,) * len(strides), "valid", dilation)
        return dense[(slice(None), *(slice(None, None, s) for s in strides))]
    channels, group = x.shape[-1], kernel.shape[-2]
    if channels is None or channels == group:
        return _plain_conv(x, kernel, strides, padding, dilation)
    if channels % group or kernel.shape[-1] % (channels // group):
        raise ValueError(
            f"ops.conv: inputs have {channels} channels, which kernel {kernel.shape} does not divide into groups: "
            "its second to last size times the number of groups is the channels, its last a multiple of the groups"
        )
    if len(strides) == 2 and not dilated and _grouped_kernels_work(x.dtype):
        return _plain_conv(x, kernel, strides, padding, dilation)
    groups = channels // group
    parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([_plain_conv(a, k, strides, padding, dilation) for a, k in parts], -1)


def _plain_conv(x, kernel, strides, padding, dilation):
    return tf.nn.convolution(x, kernel, strides, padding.upper(), _FORMATS[len(strides)], dilation)


@functools.cache
def _grouped_kernels_work(dtype):
    """Whether this build and device have the gradients of grouped convolutions outside XLA."""
    with tf.init_scope():  # where no tape records, so that the gradient's own op is called
        x, kernel = tf.ones((1, 4, 4, 4), dtype), tf.ones((3, 3, 2, 4), dtype)
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=x.shape, filter=kernel, out_backprop=x, strides=(1, 1, 1, 1), padding="SAME"
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = rank(inputs) - 2
    strides, dilation, padding = each(strides, n), each(dilation_rate, n), checked_padding(padding)
    inputs, kernel, dtype = _operands(inputs, kernel)
    if inputs.dtype in HALF:  # the kernel adds in the type of its operands
        inputs, kernel = tf.cast(inputs, tf.float32), tf.cast(kernel, tf.float32)

    def op(x):
        if n == 1:
            return _depthwise(x[:, None], kernel[None], strides * 2, padding, (1, *dilation))[:, 0]
        return _depthwise(x, kernel, strides, padding, dilation)

    return tf.cast(_channels_last(op, inputs, data_format), dtype)


def _depthwise(x, kernel, strides, padding, dilation):
    if len(strides) == 2 and strides[0] == strides[1] and (max(dilation) == 1 or max(strides) == 1):
        return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), padding.upper(), "NHWC", dilation)
    # What the kernel cannot do is a sum over the places of the window.
    window = kernel.shape[:-2].as_list()
    reach = _effective(window, dilation)
    x = _padded(x, reach, strides, padding)
    counts = [(size(x, i + 1) - r) // s + 1 for i, (r, s) in enumerate(zip(reach, strides, strict=True))]
    total = 0
    for place in np.ndindex(*window):
        begins = [int(k) * d for k, d in zip(place, dilation, strict=True)]
        cut = [slice(b, b + (c - 1) * s + 1, s) for b, c, s in zip(begins, counts, strides, strict=True)]
        total = total + x[(slice(None), *cut, slice(None), None)] * kernel[place]  # [B, D'..., C, M]
    *lead, channels, multiplier = sizes(total)
    return tf.reshape(total, to_shape((*lead, channels * multiplier)))


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    n = rank(inputs) - 2
    strides, dilation, padding = each(strides, n), each(dilation_rate, n), checked_padding(padding)
    extra = (None,) * n if output_padding is None else each(output_padding, n)
    window = kernel.shape[:-2].as_list()
    crops = [transpose_cut(k, s, d, padding, p) for k, s, d, p in zip(window, strides, dilation, extra, strict=True)]
    inputs, kernel, dtype = _operands(inputs, kernel)
    kernel = _spread_kernel(kernel, dilation)

    def op(x):
        if n == 1:
            whole = _whole_transpose(x[:, None], kernel[None], (1, *strides))[:, 0]
        else:
            whole = _whole_transpose(x, kernel, strides)
        return _cropped(whole, crops)

    return tf.cast(_channels_last(op, inputs, data_format), dtype)


def _spread_kernel(kernel, dilation):
    """The kernel with zeros between its places: gradients of dilated kernels have no CPU code."""
    for axis, (count, d) in enumerate(zip(kernel.shape[:-2].as_list(), dilation, strict=True)):
        if d > 1:
            apart = tf.expand_dims(kernel, axis + 1)
            paddings = [(0, 0)] * apart.shape.rank
            paddings[axis + 1] = (0, d - 1)
            shape = kernel.shape.as_list()
            shape[axis] = count * d
            kernel = tf.reshape(tf.pad(apart, paddings), shape)
            kernel = kernel[(slice(None),) * axis + (slice(0, (count - 1) * d + 1),)]
    return kernel


def _whole_transpose(x, kernel, strides):
    batch, *spatial, _ = sizes(x)
    window = kernel.shape[:-2].as_list()
    whole = [(d - 1) * s + k for d, s, k in zip(spatial, strides, window, strict=True)]
    shape = to_shape((batch, *whole, kernel.shape[-2]))
    transpose = tf.nn.conv2d_transpose if len(strides) == 2 else tf.nn.conv3d_transpose
    return transpose(x, kernel, shape, strides, "VALID", _FORMATS[len(strides)])


def _cropped(x, crops):
    cut = [slice(before, -after if after > 0 else None) for before, after in crops]
    x = x[(slice(None), *cut)]
    appended = [(0, max(-after, 0)) for _, after in crops]
    return tf.pad(x, [(0, 0), *appended, (0, 0)]) if any(b for _, b in appended) else x


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    return _pool(_max_pool, inputs, pool_size, strides, padding, data_format)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    inputs = as_floating(inputs)
    dtype = inputs.dtype
    if dtype in HALF:
        inputs = tf.cast(inputs, tf.float32)
    return tf.cast(_pool(_average_pool, inputs, pool_size, strides, padding, data_format), dtype)


def _pool(pool, inputs, pool_size, strides, padding, data_format):
    n = rank(inputs) - 2
    window, step = each(pool_size, n), each(pool_size if strides is None else strides, n)
    padding = checked_padding(padding).upper()

    def op(x):
        return pool(x[:, None], (1, *window), (1, *step), padding)[:, 0] if n == 1 else pool(x, window, step, padding)

    return _channels_last(op, inputs, data_format)


def _max_pool(x, window, step, padding):
    if len(window) == 2:
        # Bools and the largest unsigned types have no kernel; their order is kept.
        kernel = {tf.bool: tf.uint8, tf.uint32: tf.int64, tf.uint64: tf.int64}.get(x.dtype, x.dtype)
        return tf.cast(tf.nn.max_pool2d(tf.cast(x, kernel), window, step, padding, "NHWC"), x.dtype)
    if x.dtype in (tf.float32, tf.bfloat16):
        return tf.nn.max_pool3d(x, window, step, padding, "NDHWC")
    return _by_planes(_max_pool, x, window, step, padding)


def _average_pool(x, window, step, padding):
    if len(window) == 2:
        return tf.nn.avg_pool2d(x, window, step, padding, "NHWC")
    if x.dtype == tf.float64:
        return _by_planes(_average_pool, x, window, step, padding)
    return tf.nn.avg_pool3d(x, window, step, padding, "NDHWC")


def _by_planes(pool, x, window, step, padding):
    """Pooling of 3 axes for types that have the 2-d kernel only: it is separable, first H and W, then D."""
    batch, depth, *rest = sizes(x)
    planes = pool(tf.reshape(x, to_shape((batch * depth, *rest))), window[1:], step[1:], padding)
    _, height, width, channels = sizes(planes)
    columns = tf.reshape(planes, to_shape((batch, depth, height * width, channels)))
    out = pool(columns, (window[0], 1), (step[0], 1), padding)
    return tf.reshape(out, to_shape((batch, size(out, 1), height, width, channels)))


RULES = {
    "conv": conv,
    "depthwise_conv": depthwise_conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "average_pool": average_pool,
}
