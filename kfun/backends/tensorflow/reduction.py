"""Reductions on TensorFlow: half precision accumulates in float32.

There is no rule of `cumprod`: the gradient of `tf.math.cumprod` is wrong where there are zeros.
"""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import as_bool, as_floating, native, rank, wide
from kfun.backends.tensorflow.ordering import order

# Sums and products of small integers are at least 32 bits wide.
_TOTALS = {tf.bool: tf.int32, tf.int8: tf.int32, tf.int16: tf.int32, tf.uint8: tf.uint32, tf.uint16: tf.uint32}


def _axes(axis):
    # An empty list would be taken as floats.
    return tf.constant(list(axis), tf.int32) if isinstance(axis, (tuple, list)) else axis


def _over(fn):
    fn = wide(fn)
    return lambda x, axis=None, keepdims=False: fn(x, axis=_axes(axis), keepdims=keepdims)


def _total(fn):
    rule = _over(fn)
    return lambda x, axis=None, keepdims=False: rule(tf.cast(x, _TOTALS.get(x.dtype, x.dtype)), axis, keepdims)


def _average(fn):
    rule = _over(fn)
    return lambda x, axis=None, keepdims=False: rule(as_floating(x), axis, keepdims)


def _extreme(fn, logical):
    ordinary, of_bool = _over(fn), _over(logical)
    return lambda x, axis=None, keepdims=False: (of_bool if x.dtype == tf.bool else ordinary)(x, axis, keepdims)


def _logical(fn):
    rule = _over(fn)
    return lambda x, axis=None, keepdims=False: rule(as_bool(x), axis, keepdims)


def _variance(x, axis=None, keepdims=False):
    centred = x - tf.reduce_mean(x, axis, keepdims=True)
    return tf.reduce_mean(tf.square(centred), axis, keepdims=keepdims)


def _deviation(x, axis=None, keepdims=False):
    return tf.sqrt(_variance(x, axis, keepdims))


def cumsum(x, axis=None, dtype=None):
    x = tf.cast(x, native(dtype) or (tf.int32 if x.dtype == tf.bool else x.dtype))
    if axis is None:
        x, axis = tf.reshape(x, (-1,)), 0
    return wide(tf.cumsum)(x, axis)


def _first_extreme(x, keys, axis, keepdims):
    if axis is not None:
        index = tf.argmax(keys, axis, tf.int32)
        return tf.expand_dims(index, axis) if keepdims else index
    index = tf.argmax(tf.reshape(keys, (-1,)), 0, tf.int32)
    return tf.reshape(index, (1,) * rank(x)) if keepdims else index


def argmax(x, axis=None, keepdims=False):
    return _first_extreme(x, order(x), axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    # NaN wins here too; turning all bits reverses the order of integers without overflow.
    keys = order(tf.negative(x)) if x.dtype.is_floating else tf.bitwise.invert(order(x))
    return _first_extreme(x, keys, axis, keepdims)


RULES = {
    "sum": _total(tf.reduce_sum),
    "prod": _total(tf.reduce_prod),
    "mean": _average(tf.reduce_mean),
    "var": _average(_variance),
    "std": _average(_deviation),
    "logsumexp": _average(tf.reduce_logsumexp),
    "max": _extreme(tf.reduce_max, tf.reduce_any),
    "min": _extreme(tf.reduce_min, tf.reduce_all),
    "any": _logical(tf.reduce_any),
    "all": _logical(tf.reduce_all),
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": cumsum,
}
