"""Products on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import WIDER, common, promoting, rank, sizes, to_shape


def _integral(fn, *operands):
    """A product of small integers, or of bools (which meet by and and or), in a type that has a kernel."""
    dtype = operands[0].dtype
    out = fn(*(tf.cast(x, WIDER[dtype]) for x in operands))
    return tf.not_equal(out, 0) if dtype == tf.bool else tf.cast(out, dtype)


def _matmul(x1, x2):
    if x1.dtype in WIDER:
        return _integral(_matmul, x1, x2)
    first, second = rank(x1), rank(x2)
    if first == 0 or second == 0:
        raise ValueError(f"ops.matmul: expected arrays with axes; received shapes {x1.shape} and {x2.shape}")
    if second == 1:
        return tf.linalg.matvec(x1, x2) if first > 1 else tf.reduce_sum(x1 * x2)
    if first == 1:
        return tf.squeeze(tf.matmul(tf.expand_dims(x1, 0), x2), -2)
    if first > 2 and second == 2:
        # The gradient of a flat product is one product; that of a broadcast one is a batch and a sum.
        *lead, inner = sizes(x1)
        flat = tf.matmul(tf.reshape(x1, to_shape((_product(lead), inner))), x2)
        return tf.reshape(flat, to_shape((*lead, sizes(x2)[1])))
    return tf.matmul(x1, x2)


def _product(sizes):
    total = 1
    for size in sizes:
        total = total * size
    return total


def einsum(subscripts, *operands):
    """Half precision in float32: TensorFlow's einsum adds in the type of its operands."""
    operands, subscripts = common(operands), subscripts.replace(" ", "")
    dtype = operands[0].dtype
    if dtype in WIDER:
        return _integral(lambda *o: tf.einsum(subscripts, *o), *operands)
    if dtype in (tf.float16, tf.bfloat16):
        return tf.cast(tf.einsum(subscripts, *(tf.cast(x, tf.float32) for x in operands)), dtype)
    return tf.einsum(subscripts, *operands)


RULES = {
    "matmul": promoting(_matmul),
    "einsum": einsum,
}
