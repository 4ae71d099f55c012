"""Activation functions on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import as_floating, cast_to, floating, wide


def _leaky_relu(x, negative_slope=0.2):
    return tf.nn.leaky_relu(as_floating(x), negative_slope)


def _elu(x, alpha=1.0):
    x = as_floating(x)
    if alpha == 1:
        return tf.nn.elu(x)
    alpha = cast_to(alpha, x.dtype)
    return tf.where(tf.greater(x, 0), x, alpha * tf.math.expm1(tf.minimum(x, 0)))


def _relu(x):
    return tf.cast(x, tf.int32) if x.dtype == tf.bool else tf.nn.relu(x)


def _normalized_exponential(fn):
    def rule(x, axis=-1):
        x = as_floating(x)
        if isinstance(axis, int):
            return wide(fn)(x, axis)
        return wide(lambda v: _over_axes(fn, v, axis))(x)

    return rule


def _over_axes(fn, x, axes):
    """A softmax over several axes: they are moved last and taken as one."""
    axes = [a % x.shape.rank for a in axes]
    order = [a for a in range(x.shape.rank) if a not in axes] + axes
    moved = tf.transpose(x, order)
    shape = tf.shape(moved)
    flat = tf.reshape(moved, tf.concat([shape[: x.shape.rank - len(axes)], [-1]], 0))
    back = [order.index(a) for a in range(x.shape.rank)]
    return tf.transpose(tf.reshape(fn(flat, -1), shape), back)


_ACTIVATIONS = {
    "sigmoid": tf.sigmoid,
    "softplus": tf.math.softplus,
    "log_sigmoid": tf.math.log_sigmoid,
    "softsign": tf.nn.softsign,
    "selu": tf.nn.selu,
    "relu6": tf.nn.relu6,
}

RULES = {
    **{name: floating(fn) for name, fn in _ACTIVATIONS.items()},
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "softmax": _normalized_exponential(tf.nn.softmax),
    "log_softmax": _normalized_exponential(tf.nn.log_softmax),
}
