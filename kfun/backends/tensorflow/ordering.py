"""Orders on TensorFlow.

They are taken of integer keys, because TensorFlow's sorting kernels scatter the other elements
where a NaN is among them.
"""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import rank


def order(x):
    """Integers in the order of `x`, with NaN above all and -0 equal to 0."""
    if x.dtype.is_floating:
        x = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
        integer = tf.int64 if x.dtype == tf.float64 else tf.int32
        nan = tf.constant(float("nan"), x.dtype)
        x = tf.where(tf.math.is_nan(x), nan, tf.where(tf.equal(x, 0), tf.zeros((), x.dtype), x))
        bits = tf.bitcast(x, integer)
        # Negative floats grow downwards as integers: their magnitude bits are turned.
        return tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, tf.constant(integer.max, integer)), bits)
    if x.dtype == tf.uint64:
        return tf.bitcast(x, tf.int64) + tf.constant(tf.int64.min, tf.int64)
    return tf.cast(x, tf.int64 if x.dtype in (tf.uint32, tf.int64) else tf.int32)


def along_last(fn, x, axis):
    """`fn` of the last axis, along another one."""
    axis %= rank(x)
    if axis == rank(x) - 1:
        return fn(x)
    swapped = list(range(rank(x)))
    swapped[axis], swapped[-1] = swapped[-1], swapped[axis]
    return tf.transpose(fn(tf.transpose(x, swapped)), swapped)


def ascending(x):
    """The indices that sort the last axis."""
    keys = tf.bitwise.invert(order(x))
    # Equal elements come lowest index first from top_k, so the order is stable.
    return tf.math.top_k(keys, tf.shape(keys)[-1] if x.shape[-1] is None else x.shape[-1]).indices


def picked(x, indices):
    """The elements of the last axis at indices."""
    return tf.gather(x, indices, axis=-1, batch_dims=rank(x) - 1)
