"""Selection by values on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import rank


def nonzero(x):
    return tuple(tf.unstack(tf.cast(tf.where(x != 0 if x.dtype != tf.bool else x), tf.int32), rank(x), axis=1))


RULES = {
    "nonzero": nonzero,
}
