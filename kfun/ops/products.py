"""Products of matrices and tensors. Half-precision products accumulate in float32."""

from __future__ import annotations

import string

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived, primitive
from kfun.ops._precision import dtype_of
from kfun.ops.complex_numbers import conj


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


@derived
def inner(x1: Array, x2: Array) -> Array:
    """Sums of products over the last axes, `[..., n]` and `[___, n]` to `[..., ___]`; scalars multiply."""
    n1, n2 = len(c.shape(x1)), len(c.shape(x2))
    return e.multiply(x1, x2) if n1 == 0 or n2 == 0 else tensordot(x1, x2, ([n1 - 1], [n2 - 1]))


@derived
def vdot(x1: Array, x2: Array) -> Array:
    """The sum of products of two arrays taken flat, `x1` conjugated."""
    first = s.ravel(x1)
    return matmul(conj(first) if dtype_of(x1).startswith("complex") else first, s.ravel(x2))


@derived
def kron(x1: Array, x2: Array) -> Array:
    """The Kronecker product: each element of `x1` times the whole of `x2`, as blocks."""
    rank = max(len(c.shape(x1)), len(c.shape(x2)))
    first, second = ([1] * (rank - len(c.shape(x))) + list(c.shape(x)) for x in (x1, x2))
    spread = s.reshape(x1, [size for n in first for size in (n, 1)])  # [A1, 1, A2, 1...]
    blocks = e.multiply(spread, s.reshape(x2, [size for n in second for size in (1, n)]))  # [A1, B1, A2, B2...]
    return s.reshape(blocks, [a * b for a, b in zip(first, second, strict=True)])


@derived
def cross(x1: Array, x2: Array, axisa=-1, axisb=-1, axisc=-1, axis=None) -> Array:
    """The cross product of vectors with 2 or 3 components, batches of them broadcast.

    Args:
        x1: vectors along `axisa`; a missing third component is 0.
        x2: vectors along `axisb`.
        axisa: see `x1`.
        axisb: see `x2`.
        axisc: where the vectors of the result lie.
        axis: stands for all three axes if given.

    Returns:
        Vectors with 3 components, or the third component alone if both have only 2.

    Raises:
        ValueError: if the vectors have not 2 or 3 components.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    sizes = c.shape(x1)[axisa], c.shape(x2)[axisb]
    if not all(isinstance(n, int) and n in (2, 3) for n in sizes):
        raise ValueError(f"ops.cross: expected vectors with 2 or 3 components; received sizes {sizes}")
    a1, a2, *a3 = s.unstack(x1, sizes[0], axisa)
    b1, b2, *b3 = s.unstack(x2, sizes[1], axisb)
    third = e.subtract(e.multiply(a1, b2), e.multiply(a2, b1))
    if not a3 and not b3:
        return third
    (a3,), (b3,) = a3 or [c.zeros_like(a1)], b3 or [c.zeros_like(b1)]
    first = e.subtract(e.multiply(a2, b3), e.multiply(a3, b2))
    second = e.subtract(e.multiply(a3, b1), e.multiply(a1, b3))
    return s.stack([first, second, third], axisc)
