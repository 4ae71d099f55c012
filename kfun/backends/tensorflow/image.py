"""Resizing on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.common.resizing import resizing
from kfun.backends.tensorflow.arrays import to_shape


def _bilinear(images, size, interpolation, data_format):
    """TensorFlow's kernel knows channels that are last, in float32."""
    if data_format == "channels_first" or images.dtype == tf.float64:
        return None
    return tf.image.resize(tf.cast(images, tf.float32), to_shape(size), interpolation)


RULES = {
    "resize": resizing(_bilinear, ("bilinear",)),
}
