"""Elementwise arithmetic on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import (
    COUNTING,
    FLOATING,
    UNSIGNED,
    WIDER,
    as_bool,
    as_floating,
    common,
    floating,
    promoting,
    wide,
    with_bool,
)
from kfun.ops._dispatch import OPS


def _sharing(fn):
    """Of two equal floats each gets half of the gradient, where TensorFlow gives all to the first."""

    def rule(x1, x2):
        out = fn(x1, x2)
        return tf.where(tf.equal(x1, x2), x1 * 0.5 + x2 * 0.5, out) if out.dtype.is_floating else out

    return rule


def _ordering(fn):
    return with_bool(fn, lambda x1, x2: fn(tf.cast(x1, tf.uint8), tf.cast(x2, tf.uint8)))


def _logical(fn):
    return lambda x1, x2: fn(as_bool(x1), as_bool(x2))


def _floor_divide(x1, x2):
    """As Python divides floats: from the exact remainder, so that `1.0 // 0.1` is 9 and not 10."""
    if not x1.dtype.is_floating:
        return tf.math.floordiv(x1, x2)
    quotient = tf.round((x1 - tf.math.floormod(x1, x2)) / x2)
    return tf.where(tf.equal(x2, 0), x1 / x2, quotient)


def _power(x1, x2):
    kernel = WIDER.get(x1.dtype) if x1.dtype in UNSIGNED else None
    if kernel is None:
        return tf.pow(x1, x2)
    return tf.cast(tf.pow(tf.cast(x1, kernel), tf.cast(x2, kernel)), x1.dtype)


def _negative(x):
    return tf.zeros_like(x) - x if x.dtype in UNSIGNED else tf.negative(x)


def _abs(x):
    return tf.convert_to_tensor(x) if x.dtype in UNSIGNED or x.dtype == tf.bool else tf.abs(x)


def _sign(x):
    return tf.cast(tf.not_equal(x, 0), x.dtype) if x.dtype in UNSIGNED else tf.sign(x)


def _square(x):
    return tf.square(tf.cast(x, tf.int32) if x.dtype == tf.bool else x)


def _whole(fn):
    """A rounding, which leaves integers as they are."""
    return lambda x: fn(x) if x.dtype.is_floating else tf.convert_to_tensor(x)


def _round(x, decimals=0):
    if decimals == 0 or (decimals > 0 and not x.dtype.is_floating):
        return _whole(tf.round)(x)

    def run(v):
        factor = tf.constant(10.0 ** abs(decimals), v.dtype)  # a power of ten below 1 is not exact
        return tf.round(v * factor) / factor if decimals > 0 else tf.round(v / factor) * factor

    return tf.cast(wide(run)(as_floating(x)), x.dtype)


def _test(fn, otherwise):
    """A test of floats; integers all give `otherwise`."""
    return lambda x: fn(x) if x.dtype.is_floating else tf.fill(tf.shape(x), otherwise)


def erfinv(x):
    """In float64: TensorFlow's float32 kernel is off by 1e-5 near 0 and 1e-3 near 1."""
    return tf.cast(tf.math.erfinv(tf.cast(x, tf.float64)), x.dtype)


def _where(condition, x1, x2):
    condition = as_bool(condition)
    return promoting(lambda a, b: tf.where(condition, a, b))(x1, x2)


def _clip(x, x_min, x_max):
    given = [v for v in (x, x_min, x_max) if v is not None]
    out, *bounds = common(given)
    if x_min is not None:
        out = tf.maximum(out, bounds.pop(0))
    return out if x_max is None else tf.minimum(out, bounds.pop(0))


def _logaddexp(x1, x2):
    """Written with `softplus` of the gap, whose gradient is a half each where the operands are equal."""
    first = tf.greater_equal(x1, x2)
    high, low = tf.where(first, x1, x2), tf.where(first, x2, x1)
    gap = low - high
    finite = tf.math.is_finite(gap)
    gap = tf.where(finite, gap, tf.zeros((), gap.dtype))
    either = tf.where(tf.math.is_nan(low), low, high)  # NaN wins
    return tf.where(finite, high + tf.math.softplus(gap), either)


_FLOATING = {
    "exp": tf.exp,
    "expm1": tf.math.expm1,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "sqrt": tf.sqrt,
    "rsqrt": tf.math.rsqrt,
    "sin": tf.sin,
    "cos": tf.cos,
    "tanh": tf.tanh,
    "erf": tf.math.erf,
    "erfinv": erfinv,
    "reciprocal": tf.math.reciprocal,
}


def _fmod(x1, x2):
    if x1.dtype.is_floating:  # TensorFlow's has no gradient
        return OPS["fmod"].body(x1, x2)
    wider = WIDER.get(x1.dtype, x1.dtype)
    return tf.cast(tf.truncatemod(tf.cast(x1, wider), tf.cast(x2, wider)), x1.dtype)


RULES = {
    **{name: floating(fn) for name, fn in _FLOATING.items()},
    "add": with_bool(tf.add, tf.logical_or),
    "subtract": promoting(tf.subtract),
    "multiply": with_bool(tf.multiply, tf.logical_and),
    "divide": promoting(tf.divide, FLOATING),
    "floor_divide": promoting(_floor_divide, COUNTING),
    "mod": promoting(tf.math.floormod, COUNTING),
    "power": promoting(_power, COUNTING),
    "maximum": with_bool(_sharing(tf.maximum), tf.logical_or),
    "minimum": with_bool(_sharing(tf.minimum), tf.logical_and),
    "arctan2": promoting(tf.math.atan2, FLOATING),
    "negative": _negative,
    "abs": _abs,
    "sign": _sign,
    "square": _square,
    "floor": _whole(tf.floor),
    "ceil": _whole(tf.math.ceil),
    "round": _round,
    "isnan": _test(tf.math.is_nan, False),
    "isinf": _test(tf.math.is_inf, False),
    "isfinite": _test(tf.math.is_finite, True),
    "equal": promoting(tf.equal),
    "not_equal": promoting(tf.not_equal),
    "less": _ordering(tf.less),
    "less_equal": _ordering(tf.less_equal),
    "greater": _ordering(tf.greater),
    "greater_equal": _ordering(tf.greater_equal),
    "logical_and": _logical(tf.logical_and),
    "logical_or": _logical(tf.logical_or),
    "logical_not": lambda x: tf.logical_not(as_bool(x)),
    "where": _where,
    "clip": _clip,
    "logaddexp": promoting(_logaddexp, FLOATING),
    "fmod": promoting(_fmod),
}
