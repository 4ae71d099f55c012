"""Reductions over one axis, several, or all (`axis=None`).

Sums of float16 and bfloat16 accumulate in float32; the result has the type of `x`. Sums of
bool are int32.
"""

from __future__ import annotations

from kfun.ops import elementwise as e
from kfun.ops._dispatch import Array, DType, derived, primitive


@primitive
def sum(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Sum over `axis`."""


@primitive
def mean(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Mean over `axis`; floating also for integers."""


@primitive
def prod(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Product over `axis`."""


@primitive
def max(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Maximum over `axis`."""


@primitive
def min(x: Array, axis=None, keepdims: bool = False) -> Array:
    """Minimum over `axis`."""


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
