"""Elementwise arithmetic, comparison and logic, with NumPy broadcasting.

Two operands promote by `kfun.dtypes.promote`; Python scalars are weakly typed. Functions that
have no integer results (`exp`, `divide`, ...) turn integers into floats.
"""

from __future__ import annotations

from kfun import dtypes
from kfun.ops._dispatch import Array, derived, primitive
from kfun.ops.creation import cast


@primitive
def add(x1: Array, x2: Array) -> Array:
    """`x1 + x2`."""


@primitive
def subtract(x1: Array, x2: Array) -> Array:
    """`x1 - x2`."""


@primitive
def multiply(x1: Array, x2: Array) -> Array:
    """`x1 * x2`."""


@primitive
def divide(x1: Array, x2: Array) -> Array:
    """`x1 / x2`, true division: the result is floating."""


@primitive
def floor_divide(x1: Array, x2: Array) -> Array:
    """`floor(x1 / x2)`, in the promoted type."""


@primitive
def mod(x1: Array, x2: Array) -> Array:
    """Remainder of `floor_divide`: has the sign of `x2`."""


@primitive
def power(x1: Array, x2: Array) -> Array:
    """`x1 ** x2`."""


@primitive
def maximum(x1: Array, x2: Array) -> Array:
    """The larger of two; NaN wins."""


@primitive
def minimum(x1: Array, x2: Array) -> Array:
    """The smaller of two; NaN wins."""


@primitive
def arctan2(x1: Array, x2: Array) -> Array:
    """Angle of the point `(x2, x1)` in (-pi, pi]."""


@primitive
def negative(x: Array) -> Array:
    """`-x`."""


@primitive
def abs(x: Array) -> Array:
    """Absolute value; its gradient at 0 is 0, but 1 on JAX."""


@primitive
def sign(x: Array) -> Array:
    """-1, 0 or 1 by the sign of `x`."""


@primitive
def exp(x: Array) -> Array:
    """`e ** x`."""


@primitive
def expm1(x: Array) -> Array:
    """`exp(x) - 1`, accurate near 0."""


@primitive
def log(x: Array) -> Array:
    """Natural logarithm."""


@primitive
def log1p(x: Array) -> Array:
    """`log(1 + x)`, accurate near 0."""


@primitive
def sqrt(x: Array) -> Array:
    """Square root."""


@primitive
def rsqrt(x: Array) -> Array:
    """`1 / sqrt(x)`."""


@primitive
def sin(x: Array) -> Array:
    """Sine of `x` in radians."""


@primitive
def cos(x: Array) -> Array:
    """Cosine of `x` in radians."""


@primitive
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""


@primitive
def erf(x: Array) -> Array:
    """Error function."""


@primitive
def erfinv(x: Array) -> Array:
    """Inverse of the error function, for `x` in (-1, 1)."""


@primitive
def floor(x: Array) -> Array:
    """Largest integer not above `x`, as a float."""


@primitive
def ceil(x: Array) -> Array:
    """Smallest integer not below `x`, as a float."""


@primitive
def round(x: Array, decimals: int = 0) -> Array:
    """Rounds to `decimals` places, halves to even."""


@primitive
def isnan(x: Array) -> Array:
    """Whether each element is NaN."""


@primitive
def isinf(x: Array) -> Array:
    """Whether each element is infinite."""


@primitive
def isfinite(x: Array) -> Array:
    """Whether each element is neither infinite nor NaN."""


@primitive
def equal(x1: Array, x2: Array) -> Array:
    """`x1 == x2`, as bool."""


@primitive
def not_equal(x1: Array, x2: Array) -> Array:
    """`x1 != x2`, as bool."""


@primitive
def less(x1: Array, x2: Array) -> Array:
    """`x1 < x2`, as bool."""


@primitive
def less_equal(x1: Array, x2: Array) -> Array:
    """`x1 <= x2`, as bool."""


@primitive
def greater(x1: Array, x2: Array) -> Array:
    """`x1 > x2`, as bool."""


@primitive
def greater_equal(x1: Array, x2: Array) -> Array:
    """`x1 >= x2`, as bool."""


@primitive
def logical_and(x1: Array, x2: Array) -> Array:
    """Elementwise and, of values taken as bool."""


@primitive
def logical_or(x1: Array, x2: Array) -> Array:
    """Elementwise or, of values taken as bool."""


@primitive
def logical_not(x: Array) -> Array:
    """Elementwise not, of values taken as bool."""


@primitive
def where(condition: Array, x1: Array, x2: Array) -> Array:
    """`x1` where `condition` holds, else `x2`; all three broadcast."""


@derived
def square(x: Array) -> Array:
    """`x * x`; int32 for bool."""
    x = cast(x, "int32") if dtypes.name(x.dtype) == "bool" else x
    return multiply(x, x)


@derived
def reciprocal(x: Array) -> Array:
    """`1 / x`."""
    return divide(1, x)


@derived
def clip(x: Array, x_min: Array, x_max: Array) -> Array:
    """`x` limited to `[x_min, x_max]`."""
    return minimum(maximum(x, x_min), x_max)


@derived
def logaddexp(x1: Array, x2: Array) -> Array:
    """`log(exp(x1) + exp(x2))`, without overflow."""
    top = maximum(x1, x2)
    gap = negative(abs(subtract(x1, x2)))
    return where(isfinite(gap), add(top, log1p(exp(gap))), top)


@derived
def squared_difference(x1: Array, x2: Array) -> Array:
    """`(x1 - x2) ** 2`."""
    return square(subtract(x1, x2))
