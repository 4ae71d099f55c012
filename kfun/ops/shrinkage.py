"""Activation functions that give exact zeros, or that are piecewise polynomial where others are exponential."""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Scalar, derived
from kfun.ops._precision import dtype_of, narrowed, widened


@derived
def threshold(x: Array, threshold: Scalar, default_value: Scalar) -> Array:
    """`x` where it is greater than `threshold`, else `default_value`."""
    return e.where(e.greater(x, threshold), x, default_value)


@derived
def hard_shrink(x: Array, threshold: Scalar = 0.5) -> Array:
    """`x` where `|x| > threshold`, else 0."""
    return e.where(e.greater(e.abs(x), threshold), x, 0.0)


@derived
def soft_shrink(x: Array, threshold: Scalar = 0.5) -> Array:
    """`x` drawn towards 0 by `threshold`, 0 where `|x| <= threshold`: the proximal map of the 1-norm."""
    low = -threshold if dtypes.weak(threshold) else e.negative(threshold)  # a number goes with any backend
    inner = e.where(e.less(x, low), e.add(x, threshold), 0.0)
    return e.where(e.greater(x, threshold), e.subtract(x, threshold), inner)


@derived
def sparse_plus(x: Array) -> Array:
    """0 up to -1, `(x + 1)^2 / 4` up to 1, then `x`: the integral of `sparse_sigmoid`."""
    middle = e.multiply(0.25, e.square(e.add(e.clip(x, -1.0, 1.0), 1.0)))
    return e.where(e.greater_equal(x, 1.0), e.multiply(x, 1.0), middle)


@derived
def sparse_sigmoid(x: Array) -> Array:
    """`x / 2 + 1 / 2`, limited to [0, 1] (Martins & Astudillo 2016, arXiv:1602.02068, in two classes)."""
    return e.multiply(0.5, e.clip(e.add(x, 1.0), 0.0, 2.0))


@derived
def squareplus(x: Array, b: Scalar = 4) -> Array:
    """`(x + sqrt(x^2 + b)) / 2`, accurate also where `x` is far below 0 (Barron 2021, arXiv:2112.11687).

    Args:
        x: floating; integers become float32.
        b: at least 0: how wide the bend at 0 is; 0 gives `relu`.
    """
    wide = e.multiply(widened(x), 1.0)
    root = e.sqrt(e.add(e.square(wide), b))
    below = e.less(wide, 0)
    # x + root loses all digits below 0, where it equals b / (root - x).
    tail = e.divide(b, e.where(below, e.subtract(root, wide), 1.0))
    return narrowed(e.multiply(0.5, e.where(below, tail, e.add(wide, root))), x)


@derived
def sparsemax(x: Array, axis=-1) -> Array:
    """A sparse alternative to `softmax` (Martins & Astudillo 2016, arXiv:1602.02068), in Keras's form.

    With z the values in descending order, c their running sums and S the places where
    `1 + k z_k > c_k`, the result is `max(x - tau, 0)` with `tau = (sum of c over S - 1) / |S|`. The
    paper has the last of those sums alone, so that its results sum to 1; here they do where |S| is 1.
    """
    wide = e.multiply(widened(x), 1.0)
    ordered = s.flip(s.sort(wide, axis), axis)
    total, place = r.cumsum(ordered, axis), r.cumsum(c.ones_like(ordered), axis)
    support = e.greater(e.subtract(ordered, e.divide(e.subtract(total, 1.0), place)), 0)
    count = r.sum(c.cast(support, dtype_of(wide)), axis, True)
    tau = e.divide(e.subtract(r.sum(e.where(support, total, 0.0), axis, True), 1.0), count)
    return narrowed(e.maximum(e.subtract(wide, tau), 0.0), x)
