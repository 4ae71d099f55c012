"""Elementwise arithmetic, comparison and logic, with NumPy broadcasting.

Two operands promote by `kfun.dtypes.promote`; Python scalars are weakly typed. Functions that
have no integer results (`exp`, `divide`, ...) turn integers into floats.
"""

from __future__ import annotations

import math

import numpy as np

from kfun import dtypes
from kfun.ops._dispatch import OPS, Array, DType, derived, primitive, spelled
from kfun.ops._operands import arrays, floating, limits
from kfun.ops._precision import dtype_of
from kfun.ops.creation import cast, ones_like, zeros_like


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


@primitive(name="where")
def _where(condition: Array, x1: Array, x2: Array) -> Array:
    """`x1` where `condition` holds, else `x2`."""


@spelled(_where)
def where(condition: Array, x1: Array = None, x2: Array = None) -> Array:
    """`x1` where `condition` holds, else `x2`; all three broadcast. With the condition alone, its `nonzero`."""
    if x1 is None and x2 is None:
        return OPS["nonzero"].public(condition)
    return _where(condition, x1, x2)


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


absolute = abs
true_divide = divide


@derived
def fabs(x: Array) -> Array:
    """Absolute value, floating also for integers."""
    return abs(floating(x))


@derived
def trunc(x: Array) -> Array:
    """`x` without its fraction: rounds towards 0. Integers stay as they are."""
    return where(less(x, 0), ceil(x), floor(x))


@derived
def fmod(x1: Array, x2: Array) -> Array:
    """Remainder of the division that rounds towards 0: has the sign of `x1`, as in C."""
    x1, x2 = arrays(x1, x2)
    if dtypes.is_float(dtypes.name(x1.dtype)) or dtypes.is_float(dtypes.name(x2.dtype)):
        rest = mod(abs(x1), abs(x2))
        return where(less(x1, 0), negative(rest), rest)
    rest = mod(x1, abs(x2))  # the least integer has no absolute value
    return where(logical_and(less(x1, 0), not_equal(rest, 0)), subtract(rest, abs(x2)), rest)


@derived
def fmax(x1: Array, x2: Array) -> Array:
    """The larger of two, of which NaN never wins over a number."""
    x1, x2 = arrays(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, maximum(x1, x2)))


@derived
def fmin(x1: Array, x2: Array) -> Array:
    """The smaller of two, of which NaN never wins over a number."""
    x1, x2 = arrays(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, minimum(x1, x2)))


@derived
def divide_no_nan(x1: Array, x2: Array) -> Array:
    """`x1 / x2`, and 0 where `x2` is 0; the gradient there is 0 too."""
    x1, x2 = arrays(x1, x2)
    empty = equal(x2, 0)
    return where(empty, 0.0, divide(x1, where(empty, ones_like(x2), x2)))


@derived
def logical_xor(x1: Array, x2: Array) -> Array:
    """Whether exactly one of two values, taken as bool, is true."""
    return logical_and(logical_or(x1, x2), logical_not(logical_and(x1, x2)))


@derived
def isposinf(x: Array) -> Array:
    """Whether each element is plus infinity."""
    return equal(x, math.inf)


@derived
def isneginf(x: Array) -> Array:
    """Whether each element is minus infinity."""
    return equal(x, -math.inf)


@derived
def signbit(x: Array) -> Array:
    """Whether the sign is negative, of -0.0 too."""
    return logical_or(less(x, 0), less(divide(1.0, x), 0))


@derived
def saturate_cast(x: Array, dtype: DType) -> Array:
    """`x` in another type, numbers outside its range as the nearest number inside; NaN is 0 in an integer.

    Args:
        x: real.
        dtype: of the result.
    """
    source, target = dtypes.name(x.dtype), dtypes.name(dtype)
    if "bool" in (source, target):
        return cast(x, target)
    target = dtype_of(cast(zeros_like(x), target))  # JAX without x64 has no wide integers
    (least, largest), (low, high) = limits(source), limits(target)
    ends = max(least, low), min(largest, high)
    if not dtypes.is_float(source) or dtypes.is_float(target):
        return cast(clip(x, *(end if dtypes.is_float(source) else np.dtype(source).type(end) for end in ends)), target)
    # As floats the ends of a wide integer type lie just outside of it.
    inside = clip(x, *map(float, ends))
    beyond = greater_equal(x, float(high))
    whole = cast(where(logical_or(isnan(x), beyond), zeros_like(x), inside), target)
    return where(beyond, np.dtype(target).type(high), whole)
