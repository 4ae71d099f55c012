"""Further functions of floats: trigonometric and hyperbolic, roots, logarithms, gamma, error and Bessel functions.

Integers become floats. Bodies with fitted polynomials are accurate to float32; they run where a
framework has no function of its own, and there in float64 too.
"""

from __future__ import annotations

import math

from kfun import dtypes
from kfun.ops import elementwise as e
from kfun.ops._dispatch import Array, Scalar, derived
from kfun.ops._operands import arrays, floating, limits


@derived
def tan(x: Array) -> Array:
    """Tangent of `x` in radians."""
    return e.divide(e.sin(x), e.cos(x))


@derived
def arcsin(x: Array) -> Array:
    """Angle in [-pi/2, pi/2] whose sine is `x`; NaN outside [-1, 1]."""
    return e.arctan2(x, _cosine_of_sine(floating(x)))


@derived
def arccos(x: Array) -> Array:
    """Angle in [0, pi] whose cosine is `x`; NaN outside [-1, 1]."""
    return e.arctan2(_cosine_of_sine(floating(x)), x)


def _cosine_of_sine(x):
    return e.sqrt(e.multiply(e.subtract(1.0, x), e.add(1.0, x)))  # 1 - x * x would cancel near 1


@derived
def arctan(x: Array) -> Array:
    """Angle in (-pi/2, pi/2) whose tangent is `x`."""
    return e.arctan2(x, 1.0)


@derived
def sinh(x: Array) -> Array:
    """Hyperbolic sine, accurate near 0 and up to the largest result."""
    grown = e.expm1(e.clip(x, -1.0, 1.0))
    near = e.multiply(0.5, e.add(grown, e.divide(grown, e.add(1.0, grown))))
    up, down = _halves(x)
    return e.where(e.less(e.abs(x), 1.0), near, e.subtract(up, down))


@derived
def cosh(x: Array) -> Array:
    """Hyperbolic cosine."""
    return e.add(*_halves(x))


def _halves(x):
    """`exp(x) / 2` and `exp(-x) / 2`, which overflow only where they are no floats."""
    roots = e.exp(e.multiply(x, 0.5)), e.exp(e.multiply(x, -0.5))
    return [e.multiply(e.multiply(0.5, root), root) for root in roots]


@derived
def arcsinh(x: Array) -> Array:
    """Inverse of `sinh`."""
    small = e.clip(x, -1.0, 1.0)
    near = e.multiply(2.0, arctanh(e.divide(small, e.add(1.0, e.sqrt(e.add(1.0, e.square(small)))))))
    large = e.maximum(e.abs(x), 1.0)
    far = e.add(e.log(large), e.log1p(e.sqrt(e.add(1.0, e.square(e.reciprocal(large))))))
    return e.where(e.less(e.abs(x), 1.0), near, e.multiply(e.sign(x), far))


@derived
def arccosh(x: Array) -> Array:
    """Inverse of `cosh`, at least 0; NaN for `x < 1`."""
    far = e.greater(x, 1e4)
    above = e.subtract(e.where(far, 2.0, x), 1.0)
    near = e.log1p(e.add(above, e.multiply(e.sqrt(above), e.sqrt(e.add(above, 2.0)))))
    return e.where(far, e.add(e.log(e.maximum(x, 1.0)), math.log(2)), near)


@derived
def arctanh(x: Array) -> Array:
    """Inverse of `tanh`; infinite at -1 and 1, NaN outside."""
    return e.multiply(0.5, e.subtract(e.log1p(x), e.log1p(e.negative(x))))


@derived
def deg2rad(x: Array) -> Array:
    """Degrees as radians."""
    return e.multiply(x, math.pi / 180)


@derived
def rad2deg(x: Array) -> Array:
    """Radians as degrees."""
    return e.multiply(x, 180 / math.pi)


@derived
def hypot(x1: Array, x2: Array) -> Array:
    """`sqrt(x1 ** 2 + x2 ** 2)`, without overflow; infinite if either is, and of gradient 0 at the origin."""
    first, second = (e.abs(e.multiply(x, 1.0)) for x in arrays(x1, x2))  # numbers stay weakly typed
    top, low = e.maximum(first, second), e.minimum(first, second)
    extreme = e.logical_or(e.equal(top, 0), e.isinf(top))
    ratio = e.divide(low, e.where(extreme, 1.0, top))
    length = e.multiply(top, e.sqrt(e.add(1.0, e.square(ratio))))
    return e.where(e.logical_or(e.isinf(first), e.isinf(second)), math.inf, length)


@derived
def cbrt(x: Array) -> Array:
    """Cube root, negative for negative `x`; its gradient at 0 is infinite."""
    return e.multiply(e.sign(x), e.power(e.abs(floating(x)), 1 / 3))


@derived
def exp2(x: Array) -> Array:
    """`2 ** x`."""
    return e.power(2.0, x)


@derived
def log2(x: Array) -> Array:
    """Logarithm to base 2."""
    return e.divide(e.log(x), math.log(2))


@derived
def log10(x: Array) -> Array:
    """Logarithm to base 10."""
    return e.divide(e.log(x), math.log(10))


@derived
def logaddexp2(x1: Array, x2: Array) -> Array:
    """`log2(2 ** x1 + 2 ** x2)`, without overflow."""
    first, second = (e.multiply(x, math.log(2)) for x in arrays(x1, x2))
    return e.divide(e.logaddexp(first, second), math.log(2))


@derived
def ldexp(x1: Array, x2: Array) -> Array:
    """`x1 * 2 ** x2`, without overflow on the way.

    Args:
        x1: real.
        x2: integers.

    Raises:
        TypeError: if `x2` is not of an integer type.
    """
    if not isinstance(x2, int) and not dtypes.is_integer(dtypes.name(getattr(x2, "dtype", type(x2)))):
        raise TypeError(f"ops.ldexp: expected integers x2; received {x2!r:.80}: cast them, or use ops.exp2")
    x1, x2 = arrays(x1, x2)
    x1 = floating(x1)
    exponent = e.cast(x2, x1.dtype)
    half = e.floor(e.multiply(exponent, 0.5))
    return e.multiply(e.multiply(x1, exp2(half)), exp2(e.subtract(exponent, half)))


@derived
def heaviside(x1: Array, x2: Array) -> Array:
    """The step function: 0 where `x1 < 0`, `x2` where it is 0, 1 above; floating."""
    x1, x2 = arrays(x1, x2)
    step = e.where(e.less(x1, 0), 0.0, e.where(e.greater(x1, 0), 1.0, x2))
    return e.where(e.isnan(x1), x1, step)


@derived
def sinc(x: Array) -> Array:
    """`sin(pi x) / (pi x)`, 1 at 0."""
    angle = e.multiply(x, math.pi)
    squared = e.square(angle)
    near = e.less(squared, 0.25)
    series = _polynomial((1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1.0), e.where(near, squared, 0.0))
    away = e.where(near, 1.0, angle)  # there the series keeps the gradient from cancelling
    return e.where(near, series, e.divide(e.sin(away), away))


# (1 + 2x) exp(x * x) erfc(x) in (x - 2) / (x + 2): our own Chebyshev fit for x >= 0, relative error 1e-8.
_ERFC = (
    6.33694584e-05, 0.000160803582, -0.000357920448, -0.00139570695, 0.00121741059, 0.00868915966,
    -0.00801896308, -0.0542119585, 0.164049454, -0.166031096, -0.0927637628, 1.27697839,
)  # fmt: skip


@derived
def erfc(x: Array) -> Array:
    """`1 - erf(x)`, with a small relative error also where it is tiny."""
    height = e.minimum(e.abs(x), 30.0)
    coarse = e.divide(e.round(e.multiply(height, 16.0)), 16.0)  # its square is exact
    fine = e.multiply(e.subtract(coarse, height), e.add(coarse, height))
    bell = e.multiply(e.exp(e.negative(e.square(coarse))), e.exp(fine))
    place = e.subtract(1.0, e.divide(4.0, e.add(height, 2.0)))
    tail = e.divide(e.multiply(bell, _polynomial(_ERFC, place)), e.add(1.0, e.multiply(2.0, height)))
    far = e.where(e.less(x, 0), e.subtract(2.0, tail), tail)
    return e.where(e.less(e.abs(x), 0.5), e.subtract(1.0, e.erf(x)), far)


# log(gamma(t + 2)) / (t (t + 1)) for t in [-1, 1]: our own Chebyshev fit, relative error 2e-8.
_LGAMMA = (
    -3.87341619e-05, 7.81756044e-05, -5.24195615e-05, 0.000130632495, -0.000425571262, 0.00094429658,
    -0.00210206162, 0.00499156092, -0.0123849751, 0.0329656257, -0.100317273, 0.422784326,
)  # fmt: skip


@derived
def lgamma(x: Array) -> Array:
    """Logarithm of the absolute value of the gamma function: infinite at 0, -1, -2, ...

    From a fit in [1, 3) and Stirling's series above; `gamma(x) gamma(1 - x) = pi / sin(pi x)` below 0.
    """
    below, away = e.less(x, 0), _fraction_below_zero(x)
    mirrored = e.where(below, e.subtract(1.0, x), x)
    small = e.less(mirrored, 1.0)
    y = e.where(small, e.add(mirrored, 1.0), mirrored)
    near = e.less(y, 3.0)
    t = e.subtract(e.where(near, y, 2.0), 2.0)
    fitted = e.multiply(e.multiply(t, e.add(t, 1.0)), _polynomial(_LGAMMA, t))
    large = e.where(near, 3.0, y)
    inverse, log = e.reciprocal(large), e.log(large)
    series = e.multiply(inverse, _polynomial((-1 / 1680, 1 / 1260, -1 / 360, 1 / 12), e.square(inverse)))
    stirling = e.add(e.subtract(e.multiply(large, e.subtract(log, 1.0)), e.multiply(0.5, log)), series)
    above = e.where(near, fitted, e.add(stirling, 0.5 * math.log(2 * math.pi)))
    above = e.subtract(above, e.log(e.where(small, mirrored, 1.0)))
    reflected = e.subtract(e.log(e.divide(math.pi, e.sin(e.multiply(math.pi, away)))), above)
    return e.where(e.isinf(x), math.inf, e.where(below, reflected, above))


@derived
def digamma(x: Array) -> Array:
    """Derivative of `lgamma`. At 0, -1, -2, ... it has poles: NaN or an infinity there, as the backend has it."""
    below, away = e.less(x, 0), _fraction_below_zero(x)
    y = e.where(below, e.subtract(1.0, x), x)
    steps = e.reciprocal(y)
    for k in range(1, 6):
        steps = e.add(steps, e.reciprocal(e.add(y, float(k))))
    large = e.add(y, 6.0)
    inverse = e.reciprocal(large)
    squared = e.square(inverse)
    series = e.multiply(squared, _polynomial((1 / 240, -1 / 252, 1 / 120, -1 / 12), squared))
    above = e.subtract(e.add(e.log(large), series), e.add(steps, e.multiply(0.5, inverse)))
    return e.where(below, e.subtract(above, e.divide(math.pi, tan(e.multiply(math.pi, away)))), above)


def _fraction_below_zero(x):
    """How far a negative `x` lies above an integer; a half for others, which have no pole."""
    return e.where(e.less(x, 0), e.subtract(x, e.floor(x)), 0.5)


@derived
def i0(x: Array) -> Array:
    """Modified Bessel function of the first kind and order 0: its series up to 8, the asymptotic one above."""
    x = floating(x)
    quarter = e.multiply(0.25, e.square(e.clip(x, -8.0, 8.0)))
    near = _polynomial([1 / math.factorial(k) ** 2 for k in reversed(range(20))], quarter)
    height = e.maximum(e.abs(x), 8.0)
    odd = [math.prod(range(1, 2 * k, 2)) ** 2 / (math.factorial(k) * 8**k) for k in range(11)]
    root = e.exp(e.multiply(0.5, height))
    far = e.multiply(root, e.divide(root, e.sqrt(e.multiply(2 * math.pi, height))))
    return e.where(e.less(e.abs(x), 8.0), near, e.multiply(far, _polynomial(odd[::-1], e.reciprocal(height))))


@derived
def nan_to_num(x: Array, nan: Scalar = 0.0, posinf: Scalar = None, neginf: Scalar = None) -> Array:
    """`x` with NaN and infinities replaced by finite numbers; integers stay as they are.

    Args:
        x: real.
        nan: stands for NaN.
        posinf: stands for plus infinity; by default the largest number of the type of `x`.
        neginf: stands for minus infinity; by default the least number of the type of `x`.
    """
    dtype = dtypes.name(x.dtype)
    if not dtypes.is_float(dtype):
        return x
    least, largest = limits(dtype)
    low = e.where(e.isneginf(x), least if neginf is None else neginf, x)
    finite = e.where(e.isposinf(x), largest if posinf is None else posinf, low)
    return e.cast(e.where(e.isnan(x), nan, finite), dtype)


def _polynomial(coefficients, x):
    """By Horner's rule, the highest power first."""
    total = e.add(e.multiply(x, coefficients[0]), coefficients[1])
    for c in coefficients[2:]:
        total = e.add(e.multiply(total, x), c)
    return total
