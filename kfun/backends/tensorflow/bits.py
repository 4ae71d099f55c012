"""Bits and whole numbers on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import FLOATING, native, promoting, sizes, to_shape, with_bool


def view(x, dtype=None):
    target = native(dtype) or x.dtype
    ratio = target.size / x.dtype.size
    if ratio > 1:  # `bitcast` takes the narrow parts of an element from an axis of their own
        *rest, last = sizes(x)
        x = tf.reshape(x, to_shape([*rest, last // int(ratio), int(ratio)]))
    seen = tf.bitcast(x, target)
    if ratio < 1:
        *rest, last = sizes(x)
        seen = tf.reshape(seen, to_shape([*rest, last * int(1 / ratio)]))
    return seen


RULES = {
    "bitwise_and": with_bool(tf.bitwise.bitwise_and, tf.logical_and),
    "bitwise_or": with_bool(tf.bitwise.bitwise_or, tf.logical_or),
    "bitwise_xor": with_bool(tf.bitwise.bitwise_xor, tf.math.logical_xor),
    "bitwise_not": lambda x: tf.logical_not(x) if x.dtype == tf.bool else tf.bitwise.invert(x),
    "bitwise_left_shift": promoting(tf.bitwise.left_shift),
    "bitwise_right_shift": promoting(tf.bitwise.right_shift),
    "nextafter": promoting(tf.math.nextafter, FLOATING),
    "view": view,
}
