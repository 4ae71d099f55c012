"""Encodings of labels on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import native, rank, sizes, to_shape
from kfun.ops._dispatch import OPS


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


RULES = {
    "one_hot": one_hot,
    "multi_hot": multi_hot,
}
