"""Integers: their bits, shifts, common divisors; numbers as patterns of bits."""

from __future__ import annotations

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops._dispatch import Array, DType, derived, primitive
from kfun.ops._operands import arrays
from kfun.ops.control import while_loop


@primitive
def bitwise_and(x: Array, y: Array) -> Array:
    """And of each bit, of integers or bools."""


@primitive
def bitwise_or(x: Array, y: Array) -> Array:
    """Or of each bit, of integers or bools."""


@primitive
def bitwise_xor(x: Array, y: Array) -> Array:
    """Exclusive or of each bit, of integers or bools."""


@primitive
def bitwise_not(x: Array) -> Array:
    """Each bit inverted, of integers or bools."""


@primitive
def bitwise_left_shift(x: Array, y: Array) -> Array:
    """`x * 2 ** y` for integers; bits that leave the type are lost.

    Args:
        x: integers.
        y: at least 0 and less than the bits of the type; frameworks differ outside.
    """


@primitive
def bitwise_right_shift(x: Array, y: Array) -> Array:
    """`floor(x / 2 ** y)` for integers: the sign stays.

    Args:
        x: integers.
        y: at least 0 and less than the bits of the type; frameworks differ outside.
    """


bitwise_invert = bitwise_not
left_shift = bitwise_left_shift
right_shift = bitwise_right_shift


@derived
def gcd(x1: Array, x2: Array) -> Array:
    """Greatest common divisor of integers, at least 0, by Euclid's algorithm; `gcd(0, 0)` is 0."""
    x1, x2 = arrays(x1, x2)
    first = e.add(e.abs(x1), c.zeros_like(x2))  # both in one type and shape, as the loop needs them
    second = e.add(e.abs(x2), c.zeros_like(x1))

    def step(a, b):
        done = e.equal(b, 0)
        rest = e.mod(a, e.where(done, c.ones_like(b), b))
        return e.where(done, a, b), e.where(done, b, rest)

    return while_loop(lambda a, b: r.any(e.not_equal(b, 0)), step, (first, second))[0]


@derived
def lcm(x1: Array, x2: Array) -> Array:
    """Least common multiple of integers, at least 0; 0 where one of them is."""
    x1, x2 = arrays(x1, x2)
    divisor = gcd(x1, x2)
    parts = e.floor_divide(e.abs(x1), e.where(e.equal(divisor, 0), c.ones_like(divisor), divisor))
    return e.multiply(parts, e.abs(x2))


@primitive
def nextafter(x1: Array, x2: Array) -> Array:
    """The float next to `x1` on the way to `x2`."""


@primitive
def view(x: Array, dtype: DType = None) -> Array:
    """The bits of `x` read as another type; the last axis grows or shrinks with the width of an element.

    Args:
        x: with at least one axis if the widths differ.
        dtype: of the result; that of `x` if None.
    """
