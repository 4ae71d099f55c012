"""JAX's random numbers on TensorFlow: threefry-2x32 counters (Salmon et al. 2011), bit for bit.

Follows the partitionable form, JAX's default: element `i` of an array comes from the counter `i`
alone. The key should reach a `tf.function` as an argument; a constant one is folded.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from kfun import dtypes
from kfun.backends.tensorflow.arrays import as_floating, cast_to, native, to_shape
from kfun.backends.tensorflow.elementwise import erfinv
from kfun.backends.tensorflow.shaping import argsort

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_UINT = {8: tf.uint8, 16: tf.uint16, 32: tf.uint32, 64: tf.uint64}
_MAX = 2**32 - 1


def _u32(value):
    return tf.constant(value, tf.uint32)


def _rotate(x, by):
    return tf.bitwise.bitwise_or(tf.bitwise.left_shift(x, _u32(by)), tf.bitwise.right_shift(x, _u32(32 - by)))


def threefry(key, x0, x1):
    """Twenty rounds on counters `(x0, x1)`; the key is `[2]`."""
    k0, k1 = key[..., 0], key[..., 1]
    keys = (k0, k1, tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(k0, k1), _u32(_PARITY)))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for i in range(5):
        for by in _ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = tf.bitwise.bitwise_xor(_rotate(x1, by), x0)
        x0 = x0 + keys[(i + 1) % 3]
        x1 = x1 + keys[(i + 2) % 3] + _u32(i + 1)
    return x0, x1


def _counted(key, count):
    """The two words of the counters 0 to `count - 1`."""
    key = tf.convert_to_tensor(key)
    if key.dtype != tf.uint32 or key.shape.rank != 1:
        raise TypeError(
            f"expected a random key, uint32 [2]; received {key.dtype.name} {key.shape}: make one with random.key"
        )
    if isinstance(count, int) and count <= 2**31 - 1:
        return threefry(key, _u32(0), tf.cast(tf.range(count), tf.uint32))
    place = tf.range(tf.cast(count, tf.int64))
    low = tf.cast(tf.bitwise.bitwise_and(place, tf.constant(_MAX, tf.int64)), tf.uint32)
    return threefry(key, tf.cast(place // 2**32, tf.uint32), low)


def _count(shape):
    return math.prod(shape) if isinstance(shape, tuple) else tf.reduce_prod(tf.cast(shape, tf.int64))


def _bits(key, shape, width=32):
    shape = to_shape(shape)
    high, low = _counted(key, _count(shape))
    if width == 64:
        out = tf.bitwise.bitwise_or(
            tf.bitwise.left_shift(tf.cast(high, tf.uint64), tf.constant(32, tf.uint64)), tf.cast(low, tf.uint64)
        )
    else:
        out = tf.bitwise.bitwise_xor(high, low)
    if width < 32:  # the low bits
        out = tf.cast(tf.bitwise.bitwise_and(out, _u32(2**width - 1)), _UINT[width])
    return tf.reshape(out, shape)


def split(key, num=2):
    return tf.stack(_counted(key, num), -1)


def fold_in(key, data):
    if isinstance(data, int):
        data = tf.constant(data & _MAX, tf.uint32)
    return tf.stack(threefry(tf.convert_to_tensor(key), _u32(0), tf.cast(data, tf.uint32)), -1)


def bits(key, shape=()):
    return _bits(key, shape)


def uniform(key, shape=(), dtype="float32", minval=0.0, maxval=1.0):
    name = dtypes.name(dtype)
    if name not in dtypes.FLOATS:
        raise ValueError(f"random.uniform: expected a floating dtype; received {name}")
    dtype = native(name)
    floats = _unit(key, shape, dtype)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)) and (minval, maxval) == (0, 1):
        return floats
    low, high = cast_to(minval, dtype), cast_to(maxval, dtype)
    if dtype == tf.float32:
        # XLA multiplies and adds with one rounding; in float64 the product of two float32 is exact.
        exact = tf.cast(floats, tf.float64) * tf.cast(high - low, tf.float64) + tf.cast(low, tf.float64)
        return tf.maximum(low, tf.cast(exact, dtype))
    return tf.maximum(low, floats * (high - low) + low)


def _unit(key, shape, dtype):
    """Uniform in [0, 1): random bits as the mantissa of floats in [1, 2), less 1."""
    width = dtype.size * 8
    mantissa = {tf.bfloat16: 7, tf.float16: 10, tf.float32: 23, tf.float64: 52}[dtype]
    drawn = 8 if mantissa < 8 else width
    unsigned = _UINT[width]
    random = tf.bitwise.right_shift(
        tf.cast(_bits(key, shape, drawn), unsigned), tf.constant(drawn - mantissa, unsigned)
    )
    one = tf.bitcast(tf.ones((), dtype), unsigned)
    return tf.bitcast(tf.bitwise.bitwise_or(random, one), dtype) - tf.ones((), dtype)


def _neighbour(value, towards, dtype):
    """The next float of that dtype from a Python number."""
    kind = dtype.as_numpy_dtype
    return tf.constant(np.nextafter(kind(value), kind(towards)), dtype)


def normal(key, shape=(), dtype="float32"):
    dtype = native(dtype)
    u = uniform(key, shape, dtype, _neighbour(-1, 0, dtype), 1.0)
    return tf.constant(math.sqrt(2), dtype) * erfinv(u)


def truncated_normal(key, shape=(), dtype="float32", lower=-2.0, upper=2.0):
    dtype = native(dtype)
    root = tf.constant(math.sqrt(2), dtype)
    low, high = tf.math.erf(cast_to(lower, dtype) / root), tf.math.erf(cast_to(upper, dtype) / root)
    out = root * erfinv(uniform(key, shape, dtype, low, high))
    return tf.clip_by_value(out, _neighbour(lower, math.inf, dtype), _neighbour(upper, -math.inf, dtype))


def randint(key, shape, minval, maxval, dtype="int32"):
    name = dtypes.name(dtype)
    if not dtypes.is_integer(name):
        raise TypeError(f"random.randint: expected an integer dtype; received {name}")
    out = native(name)
    drawn = out if out.size >= 4 else tf.int32  # small types are drawn in 32 bits
    largest = out.max if drawn is out else drawn.max
    beyond = tf.constant(False)
    if isinstance(maxval, int):
        beyond, maxval = tf.constant(maxval > largest), min(maxval, out.max + (drawn is not out))
    low, high = _limit(minval, out, drawn), _limit(maxval, out, drawn, drawn is not out)
    unsigned = _UINT[drawn.size * 8]
    span = tf.where(high <= low, tf.ones((), unsigned), tf.cast(high - low, unsigned))
    span = span + tf.cast(beyond & (high > low), unsigned)
    offset = _modulo(_bits_pair(key, shape, drawn.size * 8), span, drawn.size * 8)
    return tf.cast(low + tf.cast(offset, drawn), out)


def _limit(value, out, drawn, above=False):
    """A bound within the range of `out` (one more above it, for an open end), in the type of the draw."""
    if isinstance(value, int):
        return tf.constant(min(max(value, out.min), out.max + above), drawn)
    wide = tf.cast(value, tf.int64) if drawn != tf.uint64 else tf.cast(value, tf.uint64)
    top = min(out.max + above, wide.dtype.max)
    return tf.cast(
        tf.clip_by_value(wide, tf.constant(max(out.min, wide.dtype.min), wide.dtype), tf.constant(top, wide.dtype)),
        drawn,
    )


def _bits_pair(key, shape, width):
    keys = split(key)
    return _bits(keys[0], shape, width), _bits(keys[1], shape, width)


def _modulo(words, span, width):
    """The remainder of a number of two words by `span`, where a span that wrapped to 0 leaves it whole."""
    high, low = words
    safe = tf.where(tf.equal(span, 0), tf.ones_like(span), span)
    half = tf.math.floormod(tf.constant(2 ** (width // 2), span.dtype), safe)
    multiplier = tf.math.floormod(half * half, safe)
    offset = tf.math.floormod(tf.math.floormod(high, safe) * multiplier + tf.math.floormod(low, safe), safe)
    return tf.where(tf.equal(span, 0), low, offset)


def permutation(key, n):
    """Sorted by random words, as many times as makes ties unlikely."""
    if isinstance(n, tf.Tensor) and tf.executing_eagerly():
        n = int(n)
    if isinstance(n, int):
        numbers = tf.range(n)
        for _ in range(math.ceil(3 * math.log(max(1, n)) / math.log(_MAX))):
            key, numbers = _shuffled(key, numbers)
        return numbers
    n = tf.cast(n, tf.int32)
    rounds = tf.math.ceil(3 * tf.math.log(tf.cast(tf.maximum(n, 1), tf.float64)) / math.log(_MAX))
    state = (tf.constant(0), tf.convert_to_tensor(key), tf.range(n))

    def step(i, key, numbers):
        return (i + 1, *_shuffled(key, numbers))

    return tf.while_loop(lambda i, *_: i < tf.cast(rounds, tf.int32), step, state)[2]


def _shuffled(key, numbers):
    keys = split(key)
    order = argsort(_bits(keys[1], (tf.shape(numbers)[0] if numbers.shape[0] is None else numbers.shape[0],)))
    out = tf.gather(numbers, order)
    out.set_shape(numbers.shape)
    return tf.ensure_shape(keys[0], (2,)), out


def bernoulli(key, p=0.5, shape=()):
    p = tf.constant(p) if isinstance(p, float) else as_floating(tf.convert_to_tensor(p))
    return uniform(key, shape, p.dtype) < p


def split_each(keys, num=2):
    counters = tf.cast(tf.range(num), tf.uint32)
    return tf.stack(threefry(tf.expand_dims(keys, -2), tf.zeros((), tf.uint32), counters), -1)


RULES = {
    "random_split": split,
    "random_fold_in": fold_in,
    "random_bits": bits,
    "random_uniform": uniform,
    "random_normal": normal,
    "random_truncated_normal": truncated_normal,
    "random_randint": randint,
    "random_permutation": permutation,
    "random_bernoulli": bernoulli,
    "random_split_each": split_each,
}
