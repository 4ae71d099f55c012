"""Products of matrices and tensors. Half-precision products accumulate in float32."""

from __future__ import annotations

import string

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived, primitive


@primitive
def matmul(x1: Array, x2: Array) -> Array:
    """Matrix product over the last two axes, batched over the others; 1-d operands as in NumPy."""


@primitive
def einsum(subscripts: str, *operands: Array) -> Array:
    """Einstein summation, e.g. `einsum("btc,cnh->btnh", x, w)`. Ellipses are allowed."""


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
def outer(x1: Array, x2: Array) -> Array:
    """All products of the elements of two arrays taken flat."""
    return e.multiply(s.reshape(x1, (-1, 1)), s.reshape(x2, (1, -1)))
