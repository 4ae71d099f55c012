"""Complex numbers on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import FLOATING, HALF, promoting


def _complex(real, imag):
    real, imag = (tf.cast(x, tf.float32) if x.dtype in HALF else x for x in (real, imag))
    shape = tf.broadcast_dynamic_shape(tf.shape(real), tf.shape(imag))
    return tf.complex(tf.broadcast_to(real, shape), tf.broadcast_to(imag, shape))


RULES = {
    "complex": promoting(_complex, FLOATING),
    "real": tf.math.real,
    "imag": lambda x: tf.math.imag(x) if x.dtype.is_complex else tf.zeros_like(x),
    "conj": tf.math.conj,
}
