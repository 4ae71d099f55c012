"""Special functions, bits and complex numbers on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import (
    FLOATING,
    HALF,
    WIDER,
    floating,
    native,
    promoting,
    sizes,
    to_shape,
    wide,
)
from kfun.ops._dispatch import OPS

_FLOATING = {
    "tan": tf.tan,
    "arcsin": tf.asin,
    "arccos": tf.acos,
    "arctan": tf.atan,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "arcsinh": tf.asinh,
    "arccosh": tf.acosh,
    "arctanh": tf.atanh,
    "erfc": tf.math.erfc,
    "lgamma": tf.math.lgamma,
    "digamma": tf.math.digamma,
    "i0": tf.math.bessel_i0,
}


def _bits(fn, logical):
    return promoting(lambda x, y: logical(x, y) if x.dtype == tf.bool else fn(x, y))


def _fmod(x1, x2):
    if x1.dtype.is_floating:  # TensorFlow's has no gradient
        return OPS["fmod"].body(x1, x2)
    wider = WIDER.get(x1.dtype, x1.dtype)
    return tf.cast(tf.truncatemod(tf.cast(x1, wider), tf.cast(x2, wider)), x1.dtype)


def _complex(real, imag):
    real, imag = (tf.cast(x, tf.float32) if x.dtype in HALF else x for x in (real, imag))
    shape = tf.broadcast_dynamic_shape(tf.shape(real), tf.shape(imag))
    return tf.complex(tf.broadcast_to(real, shape), tf.broadcast_to(imag, shape))


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
    **{name: floating(wide(fn)) for name, fn in _FLOATING.items()},
    "bitwise_and": _bits(tf.bitwise.bitwise_and, tf.logical_and),
    "bitwise_or": _bits(tf.bitwise.bitwise_or, tf.logical_or),
    "bitwise_xor": _bits(tf.bitwise.bitwise_xor, tf.math.logical_xor),
    "bitwise_not": lambda x: tf.logical_not(x) if x.dtype == tf.bool else tf.bitwise.invert(x),
    "bitwise_left_shift": promoting(tf.bitwise.left_shift),
    "bitwise_right_shift": promoting(tf.bitwise.right_shift),
    "fmod": promoting(_fmod),
    "nextafter": promoting(tf.math.nextafter, FLOATING),
    "view": view,
    "complex": promoting(_complex, FLOATING),
    "real": tf.math.real,
    "imag": lambda x: tf.math.imag(x) if x.dtype.is_complex else tf.zeros_like(x),
    "conj": tf.math.conj,
    "copy": tf.identity,
}
