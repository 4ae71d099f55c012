"""Matrix and tensor products, QR, one-hot and image resizing on TensorFlow."""

from __future__ import annotations

import math

import tensorflow as tf

from kfun.backends._tensorflow_arrays import (
    WIDER,
    as_floating,
    common,
    native,
    promoting,
    rank,
    sizes,
    to_shape,
)


def _integral(fn, *operands):
    """A product of small integers, or of bools (which meet by and and or), in a type that has a kernel."""
    dtype = operands[0].dtype
    out = fn(*(tf.cast(x, WIDER[dtype]) for x in operands))
    return tf.not_equal(out, 0) if dtype == tf.bool else tf.cast(out, dtype)


def _matmul(x1, x2):
    if x1.dtype in WIDER:
        return _integral(_matmul, x1, x2)
    first, second = rank(x1), rank(x2)
    if first == 0 or second == 0:
        raise ValueError(f"ops.matmul: expected arrays with axes; received shapes {x1.shape} and {x2.shape}")
    if second == 1:
        return tf.linalg.matvec(x1, x2) if first > 1 else tf.reduce_sum(x1 * x2)
    if first == 1:
        return tf.squeeze(tf.matmul(tf.expand_dims(x1, 0), x2), -2)
    if first > 2 and second == 2:
        # The gradient of a flat product is one product; that of a broadcast one is a batch and a sum.
        *lead, inner = sizes(x1)
        flat = tf.matmul(tf.reshape(x1, to_shape((_product(lead), inner))), x2)
        return tf.reshape(flat, to_shape((*lead, sizes(x2)[1])))
    return tf.matmul(x1, x2)


def _product(sizes):
    total = 1
    for size in sizes:
        total = total * size
    return total


def einsum(subscripts, *operands):
    """Half precision in float32: TensorFlow's einsum adds in the type of its operands."""
    operands, subscripts = common(operands), subscripts.replace(" ", "")
    dtype = operands[0].dtype
    if dtype in WIDER:
        return _integral(lambda *o: tf.einsum(subscripts, *o), *operands)
    if dtype in (tf.float16, tf.bfloat16):
        return tf.cast(tf.einsum(subscripts, *(tf.cast(x, tf.float32) for x in operands)), dtype)
    return tf.einsum(subscripts, *operands)


def qr(x, mode="reduced"):
    if mode not in ("reduced", "complete"):
        raise ValueError(f"ops.qr: expected mode 'reduced' or 'complete'; received {mode!r}")
    x = as_floating(x)
    wider = tf.float32 if x.dtype in (tf.float16, tf.bfloat16) else x.dtype
    return tuple(tf.cast(part, x.dtype) for part in tf.linalg.qr(tf.cast(x, wider), full_matrices=mode == "complete"))


def one_hot(x, num_classes, axis=-1, dtype=None):
    index = tf.cast(x, tf.int64 if x.dtype in (tf.int64, tf.uint32, tf.uint64) else tf.int32)
    axis = axis + rank(x) + 1 if axis < -1 else axis
    return tf.cast(tf.one_hot(index, num_classes, True, False, axis, tf.bool), native(dtype or "float32"))


def resize_images(images, size, interpolation="bilinear", data_format=None):
    if data_format == "channels_first":
        moved = resize_images(tf.transpose(images, (0, 2, 3, 1)), size, interpolation)
        return tf.transpose(moved, (0, 3, 1, 2))
    if interpolation == "nearest":
        kernel = WIDER.get(images.dtype, images.dtype)
        return tf.cast(tf.image.resize(tf.cast(images, kernel), to_shape(size), "nearest"), images.dtype)
    values = images if images.dtype == tf.float64 else tf.cast(images, tf.float32)
    if interpolation in ("bilinear", "linear", "triangle") and values.dtype == tf.float32:
        return tf.cast(tf.image.resize(values, to_shape(size), "bilinear"), images.dtype)
    if interpolation not in _FILTERS:
        known = ", ".join(("nearest", *_FILTERS))
        raise ValueError(f"ops.resize_images: expected an interpolation among {known}; received {interpolation!r}")
    # The op for other filters has neither float64 nor XLA: two products with the weights do.
    _, height, width, _ = sizes(images)
    rows = _resize_weights(height, size[0], _FILTERS[interpolation], values.dtype)
    columns = _resize_weights(width, size[1], _FILTERS[interpolation], values.dtype)
    return tf.cast(tf.einsum("bhwc,hp,wq->bpqc", values, rows, columns), images.dtype)


def _resize_weights(source, target, kernel, dtype):
    """`[source, target]`: how much each source place counts in each target place, half-pixel centres."""
    source_count, target_count = tf.cast(source, dtype), tf.cast(target, dtype)
    at = (tf.range(target_count) + 0.5) * (source_count / target_count) - 0.5
    weights = kernel(tf.abs(at[None] - tf.range(source_count)[:, None]))
    return weights / tf.reduce_sum(weights, 0, keepdims=True)


def _triangle(x):
    return tf.maximum(1 - x, 0)


def _keys(x):
    """The cubic convolution kernel with a = -1/2 (Keys 1981)."""
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return tf.where(x < 1, inner, tf.where(x < 2, outer, tf.zeros_like(x)))


def _lanczos(radius):
    def kernel(x):
        angle = math.pi * tf.where(x > 1e-3, x, tf.ones_like(x))
        window = radius * tf.sin(angle) * tf.sin(angle / radius) / (angle * angle)
        return tf.where(x > radius, tf.zeros_like(x), tf.where(x > 1e-3, window, tf.ones_like(x)))

    return kernel


_FILTERS = {
    "bilinear": _triangle,
    "linear": _triangle,
    "triangle": _triangle,
    "bicubic": _keys,
    "cubic": _keys,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}

RULES = {
    "matmul": promoting(_matmul),
    "einsum": einsum,
    "qr": qr,
    "one_hot": one_hot,
    "resize_images": resize_images,
}
