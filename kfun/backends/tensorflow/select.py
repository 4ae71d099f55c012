"""Statistics, selection and scattering on tensorflow.

There is no rule of `cumprod`: the gradient of `tf.math.cumprod` is wrong where there are zeros.
"""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import HALF, WIDER, cast_to, native, rank, size, sizes, to_shape
from kfun.ops._dispatch import OPS

_SCATTERS = {
    None: tf.tensor_scatter_nd_update,
    "add": tf.tensor_scatter_nd_add,
    "max": tf.tensor_scatter_nd_max,
    "min": tf.tensor_scatter_nd_min,
}


def scatter_update(inputs, indices, updates, reduction=None):
    if reduction not in (*_SCATTERS, "mul"):
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    wide = tf.float32 if inputs.dtype in HALF else WIDER.get(inputs.dtype, inputs.dtype)
    x, updates = cast_to(inputs, wide), cast_to(cast_to(updates, inputs.dtype), wide)
    depth = indices.shape[-1]
    ends = tf.stack([tf.cast(size(x, i), indices.dtype) for i in range(depth)]) if depth else ()
    indices = tf.where(indices < 0, indices + ends, indices)
    out = _SCATTERS.get(reduction, _multiplied)(x, indices, updates)
    if reduction in ("max", "min") and x.dtype.is_floating:  # these kernels lose NaN
        missing = tf.where(tf.math.is_nan(updates), updates, tf.zeros_like(updates))
        out += tf.stop_gradient(tf.tensor_scatter_nd_add(tf.zeros_like(x), indices, missing))
    return cast_to(out, inputs.dtype)


def _multiplied(x, indices, updates):
    """There is no such scatter: the products of the updates of each place, times what is there."""
    depth = indices.shape[-1]
    leading, rest = sizes(x)[:depth], sizes(x)[depth:]
    place, count = tf.zeros_like(indices[..., 0]), 1
    for i, n in enumerate(leading):
        place, count = place * tf.cast(n, indices.dtype) + indices[..., i], count * n
    rows = tf.reshape(updates, to_shape((-1, *rest)))
    factors = tf.math.unsorted_segment_prod(rows, tf.reshape(place, (-1,)), count)
    return x * tf.reshape(factors, tf.shape(x))


def nonzero(x):
    return tuple(tf.unstack(tf.cast(tf.where(x != 0 if x.dtype != tf.bool else x), tf.int32), rank(x), axis=1))


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    index = tf.cast(x, tf.int64 if x.dtype in (tf.int64, tf.uint32, tf.uint64) else tf.int32)
    axis %= rank(x) + 1
    if not sparse:
        hot = tf.one_hot(index, num_classes, True, False, axis, tf.bool)
        return tf.cast(hot, native(dtype or "float32"))
    index = tf.cast(index, tf.int64)
    kept = tf.where((index >= 0) & (index < num_classes))  # [N, rank]
    labels = tf.gather_nd(index, kept)[:, None]
    places = tf.concat([kept[:, :axis], labels, kept[:, axis:]], 1)
    shape = [*sizes(x)[:axis], num_classes, *sizes(x)[axis:]]
    ones = tf.ones(tf.shape(places)[:1], native(dtype or "float32"))
    return tf.sparse.reorder(tf.SparseTensor(places, ones, tf.cast(to_shape(shape), tf.int64)))


def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False):
    """The sparse form stores each label of a row once."""
    if not sparse or num_classes is None:
        return OPS["multi_hot"].body(inputs, num_classes, axis, dtype)
    if rank(inputs) not in (1, 2) or axis not in (-1, rank(inputs)):
        raise ValueError(
            "ops.multi_hot: expected [L] or [B, L] and axis=-1 for sparse=True; received shape "
            f"{inputs.shape} and axis={axis}"
        )
    labels = tf.sort(tf.cast(inputs, tf.int64), -1)
    new = tf.concat([tf.ones_like(labels[..., :1], tf.bool), labels[..., 1:] != labels[..., :-1]], -1)
    hot = one_hot(tf.where(new, labels, -1), num_classes, -1, dtype, True)
    label = hot.indices[:, -1:]
    places = label if rank(inputs) == 1 else tf.concat([hot.indices[:, :1], label], 1)
    shape = tf.cast(to_shape([*sizes(inputs)[:-1], num_classes]), tf.int64)
    return tf.sparse.reorder(tf.SparseTensor(places, hot.values, shape))


def bincount(x, weights=None, minlength=0, sparse=False):
    counts = OPS["bincount"].body(x, weights, minlength)
    return tf.sparse.from_dense(counts) if sparse else counts


RULES = {
    "scatter_update": scatter_update,
    "nonzero": nonzero,
    "one_hot": one_hot,
    "multi_hot": multi_hot,
    "bincount": bincount,
}
