"""Reductions, sorting and searching on TensorFlow.

Half precision accumulates in float32. Orders are taken of integer keys, because TensorFlow's
sorting kernels scatter the other elements where a NaN is among them.
"""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import as_floating, native, promoting, rank, wide
from kfun.backends.tensorflow.elementwise import as_bool

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


def along_last(fn, x, axis):
    axis %= rank(x)
    if axis == rank(x) - 1:
        return fn(x)
    swapped = list(range(rank(x)))
    swapped[axis], swapped[-1] = swapped[-1], swapped[axis]
    return tf.transpose(fn(tf.transpose(x, swapped)), swapped)


def ascending(x):
    keys = tf.bitwise.invert(order(x))
    # Equal elements come lowest index first from top_k, so the order is stable.
    return tf.math.top_k(keys, tf.shape(keys)[-1] if x.shape[-1] is None else x.shape[-1]).indices


def picked(x, indices):
    return tf.gather(x, indices, axis=-1, batch_dims=rank(x) - 1)


def argsort(x, axis=-1):
    x = tf.convert_to_tensor(x)
    return along_last(ascending, x, axis)


def sort(x, axis=-1):
    return along_last(lambda v: picked(v, ascending(v)), tf.convert_to_tensor(x), axis)


def top_k(x, k, sorted=True):
    indices = tf.math.top_k(order(x), k, sorted).indices
    return picked(tf.convert_to_tensor(x), indices), indices


def searchsorted(sorted_sequence, values, side="left"):
    def search(sequence, values):
        keys, wanted = order(sequence), order(values)
        found = tf.searchsorted(keys, tf.reshape(wanted, (-1,)), side, tf.int32)
        return tf.reshape(found, tf.shape(values))

    return promoting(search)(sorted_sequence, values)


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Ids out of range are dropped; `sorted` ids need no other kernel."""
    ids = tf.cast(segment_ids, tf.int32) if segment_ids.dtype != tf.int64 else tf.convert_to_tensor(segment_ids)
    if num_segments is None:
        num_segments = tf.reduce_max(ids) + 1
    count = tf.cast(num_segments, ids.dtype)
    ids = tf.where(ids < count, ids, -tf.ones_like(ids))
    if data.dtype == tf.bool:
        return tf.math.unsorted_segment_sum(tf.cast(data, tf.int32), ids, num_segments) > 0
    return wide(tf.math.unsorted_segment_sum)(data, ids, num_segments)


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
    "sort": sort,
    "argsort": argsort,
    "top_k": top_k,
    "searchsorted": searchsorted,
    "segment_sum": segment_sum,
}
