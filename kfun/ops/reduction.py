"""Reductions over one axis, several, or all (`axis=None`); running sums and differences along one.

Sums of float16 and bfloat16 accumulate in float32; the result has the type of `x`. Sums of
bool are int32.
"""

from __future__ import annotations

import builtins

from kfun import dtypes
from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, DType, Scalar, derived, primitive, spelled


@primitive
def sum(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Sum over `axis`."""


@primitive
def mean(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Mean over `axis`; floating also for integers."""


@primitive(name="prod")
def _prod(x: Array, axis, keepdims: bool) -> Array:
    """Product over `axis`."""


@spelled(_prod)
def prod(x: Array, axis=None, keepdims: bool = False, dtype: DType = None) -> Array:
    """Product over `axis`, in the type `dtype` if that is given."""
    return _prod(x if dtype is None else c.cast(c.convert_to_tensor(x), dtype), axis, keepdims)


@primitive(name="max")
def _max(x: Array, axis, keepdims: bool) -> Array:
    """Maximum over `axis`."""


@spelled(_max)
def max(x: Array, axis=None, keepdims: bool = False, initial: Scalar = None) -> Array:
    """Maximum over `axis`, at least `initial` if that is given (which an empty axis needs)."""
    if initial is None:
        return _max(x, axis, keepdims)
    if 0 in c.shape(x):
        return c.full_like(sum(x, axis, keepdims), initial, x.dtype)
    return e.maximum(_max(x, axis, keepdims), initial)


@primitive(name="min")
def _min(x: Array, axis, keepdims: bool) -> Array:
    """Minimum over `axis`."""


@spelled(_min)
def min(x: Array, axis=None, keepdims: bool = False, initial: Scalar = None) -> Array:
    """Minimum over `axis`, at most `initial` if that is given (which an empty axis needs)."""
    if initial is None:
        return _min(x, axis, keepdims)
    if 0 in c.shape(x):
        return c.full_like(sum(x, axis, keepdims), initial, x.dtype)
    return e.minimum(_min(x, axis, keepdims), initial)


amax = max
amin = min


@primitive
def any(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Whether any element is true."""


@primitive
def all(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Whether all elements are true."""


@primitive
def argmax(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Index of the first maximum along `axis` (of the flat array if None), int32."""


@primitive
def argmin(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Index of the first minimum along `axis` (of the flat array if None), int32."""


@primitive
def cumsum(x: Array, axis=None, dtype: DType = None) -> Array:
    """Running sum along `axis` (of the flat array if None)."""


@derived
def cumprod(x: Array, axis=None, dtype: DType = None) -> Array:
    """Running product along `axis` (of the flat array if None), in the type of `x` (int32 for bool) or `dtype`."""
    name = dtypes.name(dtype or x.dtype)
    name = "int32" if name == "bool" else name
    wide = "float32" if name in ("float16", "bfloat16") else name
    x = c.cast(s.ravel(x) if axis is None else x, wide)
    return c.cast(control.associative_scan(e.multiply, x, False, 0 if axis is None else axis), name)


@derived
def var(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Population variance, in two passes: `mean((x - mean(x)) ** 2)`."""
    centred = e.subtract(x, mean(x, axis, True))
    return mean(e.multiply(centred, centred), axis, keepdims)


@derived
def std(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Population standard deviation."""
    return e.sqrt(var(x, axis, keepdims))


@derived
def logsumexp(x: Array, axis=None, keepdims: bool = False) -> Array:
    """`log(sum(exp(x)))`, without overflow."""
    top = max(x, axis, True)
    top = e.where(e.isfinite(top), top, 0)
    total = e.add(e.log(sum(e.exp(e.subtract(x, top)), axis, True)), top)
    return total if keepdims else max(total, axis, False)


@derived
def count_nonzero(x: Array, axis=None) -> Array:
    """How many elements differ from 0, int32."""
    return sum(e.not_equal(x, 0), axis)


@derived
def ptp(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Peak to peak: the maximum minus the minimum over `axis`."""
    return e.subtract(max(x, axis, keepdims), min(x, axis, keepdims))


@derived
def diff(a: Array, n: int = 1, axis=-1) -> Array:
    """Differences of neighbours along `axis`, `a[i + 1] - a[i]`, taken `n` times; of bools whether they differ.

    Raises:
        ValueError: if `n` is negative, or `a` has no axes.
    """
    if n < 0 or not len(c.shape(a)):
        raise ValueError(f"ops.diff: expected n of at least 0 and an array with axes; received n={n} and {a!r:.80}")
    for _ in range(n):
        before, after = _neighbours(a, axis)
        a = e.not_equal(after, before) if dtypes.name(a.dtype) == "bool" else e.subtract(after, before)
    return a


@derived
def trapezoid(y: Array, x: Array = None, dx: Array = 1.0, axis=-1) -> Array:
    """The integral along `axis` by the trapezoidal rule: the sum of `width * (y[i] + y[i + 1]) / 2`.

    Args:
        y: the integrand at `n` places along `axis`.
        x: the places, `[n]` or of the shape of `y`; None if they are `dx` apart.
        dx: the width, a number or an array of widths.
        axis: what to go along.

    Returns:
        The shape of `y` without `axis`, floating.
    """
    before, after = _neighbours(c.cast(y, dtypes.inexact(dtypes.name(y.dtype))), axis)
    if x is not None:
        rank = len(c.shape(y))
        dx = diff(x, 1, -1 if len(c.shape(x)) == 1 else axis)
        if len(c.shape(x)) == 1:
            dx = s.reshape(dx, [-1 if i == axis % rank else 1 for i in range(rank)])
    return sum(e.multiply(dx, e.multiply(e.add(before, after), 0.5)), axis)


def _neighbours(x, axis):
    """All elements along `axis` but the last, and all but the first."""
    whole = (builtins.slice(None),) * (axis % len(c.shape(x)))
    return s.getitem(x, (*whole, builtins.slice(None, -1))), s.getitem(x, (*whole, builtins.slice(1, None)))
