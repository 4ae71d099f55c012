"""Products of matrices and tensors. Half-precision products accumulate in float32."""

from __future__ import annotations

import string

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived, primitive


@primitive
def matmul(x1: Array, x2: Array) -> Array:
    """Matrix product over the last two axes, batched over the others; 1-d operands as in NumPy."""


@primitive
def einsum(subscripts: str, *operands: Array) -> Array:
    """Einstein summation, e.g. `einsum("btc,cnh->btnh", x, w)`. Ellipses are allowed."""


@primitive
def qr(x: Array, mode: str = "reduced"):
    """`x = q r` with orthonormal columns in `q` and upper triangular `r`, over the last two axes.

    `mode` is `"reduced"` or `"complete"`.
    """


@derived
def tensordot(x1: Array, x2: Array, axes=2) -> Array:
    """Sums products over `axes`: an int (last of `x1`, first of `x2`) or two lists of axes."""
    n1, n2 = len(c.shape(x1)), len(c.shape(x2))
    if isinstance(axes, int):
        axes = (range(n1 - axes, n1), range(axes))
    first, second = ([a] if isinstance(a, int) else list(a) for a in axes)
    left = list(string.ascii_letters[:n1])
    right = list(string.ascii_letters[n1 : n1 + n2])
    for a, b in zip(first, second, strict=True):
        right[b] = left[a]
    shared = {left[a] for a in first}
    out = [i for i in left + right if i not in shared]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", x1, x2)


@derived
def dot(x1: Array, x2: Array) -> Array:
    """NumPy's `dot`: last axis of `x1` with the second to last of `x2`; scalars multiply."""
    n1, n2 = len(c.shape(x1)), len(c.shape(x2))
    if n1 == 0 or n2 == 0:
        return e.multiply(x1, x2)
    return tensordot(x1, x2, ([n1 - 1], [0 if n2 == 1 else n2 - 2]))


@derived
def norm(x: Array, ord=None, axis=None, keepdims: bool = False) -> Array:
    """Vector norm along `axis` (of the flat array if None): `ord` 2 (default), 1 or inf; floating.

    The gradient of the 2-norm at zero is 0, a subgradient, where that of `sqrt` alone is NaN.
    """
    x = c.cast(x, dtypes.inexact(dtypes.name(x.dtype)))
    if ord in (None, 2, "euclidean"):
        total = r.sum(e.multiply(x, x), axis, keepdims)
        zero = e.equal(total, 0)
        return e.where(zero, 0.0, e.sqrt(e.where(zero, 1.0, total)))
    if ord == 1:
        return r.sum(e.abs(x), axis, keepdims)
    if ord == float("inf"):
        return r.max(e.abs(x), axis, keepdims)
    raise ValueError(f"ops.norm: expected ord None, 1, 2 or inf; received {ord!r}")


@derived
def normalize(x: Array, axis=-1, order: int = 2, epsilon: float | None = None) -> Array:
    """`x` divided by its norm along `axis`, the norm not below `epsilon` (1e-12)."""
    epsilon = 1e-12 if epsilon is None else epsilon
    if order == 2:
        total = r.sum(e.square(x), axis, True)
        return e.multiply(x, e.rsqrt(e.maximum(total, epsilon * epsilon)))
    return e.divide(x, e.maximum(norm(x, order, axis, True), epsilon))


@derived
def outer(x1: Array, x2: Array) -> Array:
    """All products of the elements of two arrays taken flat."""
    return e.multiply(s.reshape(x1, (-1, 1)), s.reshape(x2, (1, -1)))
