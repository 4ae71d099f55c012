"""Complex numbers: their parts, and arrays of pairs as complex arrays and back.

Gradients with respect to complex arrays follow the framework, which differ by a conjugate.
"""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived, primitive
from kfun.ops._operands import arrays


@primitive
def complex(real: Array, imag: Array) -> Array:
    """`real + i imag`: complex128 of float64, else complex64."""


@primitive
def real(x: Array) -> Array:
    """The real part; `x` itself if it is real."""


@primitive
def imag(x: Array) -> Array:
    """The imaginary part; zeros if `x` is real."""


@derived
def conj(x: Array) -> Array:
    """The complex conjugate; `x` itself if it is real."""
    return complex(real(x), e.negative(imag(x))) if dtypes.name(x.dtype) in dtypes.COMPLEX else x


conjugate = conj


@derived
def isreal(x: Array) -> Array:
    """Whether the imaginary part of each element is 0."""
    return e.equal(imag(x), 0)


@derived
def angle(x: Array) -> Array:
    """The angle of each element in (-pi, pi]; for real ones 0, or pi if negative."""
    return e.arctan2(imag(x), real(x))


@derived
def polar(abs_: Array, angle: Array) -> Array:
    """The complex numbers of the given absolute value and angle in radians."""
    length, turn = arrays(abs_, angle)
    return complex(e.multiply(length, e.cos(turn)), e.multiply(length, e.sin(turn)))


@derived
def view_as_complex(x: Array) -> Array:
    """Pairs along the last axis as complex numbers: `[..., 2]` to `[...]`.

    Raises:
        ValueError: if the last axis does not have size 2.
    """
    if not x.shape or (isinstance(x.shape[-1], int) and x.shape[-1] != 2):
        raise ValueError(f"ops.view_as_complex: expected shape (..., 2), real and imaginary; received {x.shape}")
    return complex(s.getitem(x, (Ellipsis, 0)), s.getitem(x, (Ellipsis, 1)))


@derived
def view_as_real(x: Array) -> Array:
    """Complex numbers as pairs of their real and imaginary part: `[...]` to `[..., 2]`.

    Raises:
        TypeError: if `x` is not complex.
    """
    if dtypes.name(x.dtype) not in dtypes.COMPLEX:
        raise TypeError(f"ops.view_as_real: expected complex numbers; received dtype {x.dtype}")
    return s.stack([real(x), imag(x)], -1)
