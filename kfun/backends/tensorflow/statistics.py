"""Statistics on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.ops._dispatch import OPS


def bincount(x, weights=None, minlength=0, sparse=False):
    counts = OPS["bincount"].body(x, weights, minlength)
    return tf.sparse.from_dense(counts) if sparse else counts


RULES = {
    "bincount": bincount,
}
