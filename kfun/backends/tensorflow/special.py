"""Special functions on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import floating, wide

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

RULES = {
    **{name: floating(wide(fn)) for name, fn in _FLOATING.items()},
}
