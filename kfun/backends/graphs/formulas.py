"""Functions that a graph backend has no operation for, written on other ops. The arrays are floating."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from kfun import ops

# Giles, "Approximating the erfinv function" (2010), table 5: the central and the tail polynomial.
ERFINV_CENTRAL = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
ERFINV_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def log1p(x: Any) -> Any:
    """log(u) * x / (u - 1) with u = 1 + x: the rounding errors of u cancel (HP-15C handbook, 1982)."""
    u = 1.0 + x
    moved = u - 1.0
    small = ops.logical_or(moved == 0.0, ops.isinf(u))
    return ops.where(small, x, ops.log(u) * (x / moved))


def expm1(x: Any) -> Any:
    """(u - 1) * x / log(u) with u = exp(x): the rounding errors of u cancel."""
    u = ops.exp(x)
    moved = u - 1.0
    far = ops.logical_or(ops.isinf(u), moved == -1.0)
    return ops.where(moved == 0.0, x, ops.where(far, moved, moved * (x / ops.log(u))))


def erfinv(x: Any) -> Any:
    """Two polynomials in -log(1 - x^2) (Giles 2010), accurate to float32."""
    w = -log1p(-(x * x))
    value = ops.where(w < 5.0, _polynomial(ERFINV_CENTRAL, w - 2.5), _polynomial(ERFINV_TAIL, ops.sqrt(w) - 3.0)) * x
    return ops.where(ops.abs(x) == 1.0, x * math.inf, value)


def _polynomial(coefficients: Sequence[float], at: Any) -> Any:
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * at + c
    return total


def arctan2(y: Any, x: Any, arctan: Callable) -> Any:
    """The arctangent of the smaller over the larger side, moved to the octant of the point."""
    wide, high = ops.abs(x), ops.abs(y)
    steep = high > wide
    short, long = ops.where(steep, wide, high), ops.where(steep, high, wide)
    both_infinite = ops.logical_and(ops.isinf(x), ops.isinf(y))
    level = ops.logical_or(long == 0.0, both_infinite)
    ratio = ops.where(both_infinite, 1.0, short / ops.where(level, 1.0, long))
    angle = arctan(ratio)
    angle = ops.where(steep, math.pi / 2 - angle, angle)
    angle = ops.where(_below_zero(x), math.pi - angle, angle)
    return ops.where(_below_zero(y), -angle, angle)


def _below_zero(x: Any) -> Any:
    """Whether the sign bit is set, -0.0 included: 1 / -0.0 is minus infinity."""
    return ops.logical_or(x < 0.0, 1.0 / x < 0.0)


def inverse(x: Any) -> Any:
    """The inverse of matrices by Gauss-Jordan elimination with partial pivoting, one step of a loop per column."""
    *batch, size, _ = ops.shape(x)
    rows = ops.arange(size)
    identity = ops.broadcast_to(ops.eye(size, dtype=x.dtype), (*batch, size, size))

    def eliminate(i: Any, m: Any) -> Any:  # m: [..., N, 2N]
        candidates = ops.where(rows >= i, ops.abs(ops.take(m, i, -1)), -1.0)
        pivot = ops.expand_dims(ops.argmax(candidates, -1), -1)  # [..., 1]
        swapped = ops.where(rows == i, pivot, ops.where(rows == pivot, i, rows))  # [..., N]
        m = ops.take_along_axis(m, ops.broadcast_to(ops.expand_dims(swapped, -1), (*batch, size, 2 * size)), -2)
        column = ops.expand_dims(ops.take(m, i, -1), -1)  # [..., N, 1]
        row = ops.expand_dims(ops.take(m, i, -2) / ops.take(column, i, -2), -2)  # [..., 1, 2N]
        return ops.where(ops.expand_dims(rows == i, -1), row, m - column * row)

    found = ops.fori_loop(0, size, eliminate, ops.concatenate([x, identity], -1))
    return found[..., size:]


def solved(inverse: Any, a: Any, b: Any) -> Any:
    """The solution of `a x = b` by the inverse; one step of refinement takes back what that loses in accuracy."""
    x = ops.matmul(inverse, b)
    return x + ops.matmul(inverse, b - ops.matmul(a, x))
