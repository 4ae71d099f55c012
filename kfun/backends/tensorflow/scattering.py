"""Scattering on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import HALF, WIDER, cast_to, size, sizes, to_shape

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


RULES = {
    "scatter_update": scatter_update,
}
