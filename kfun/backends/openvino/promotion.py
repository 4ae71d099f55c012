"""Rules of functions of one and two arrays on OpenVINO: promotion, and the storage order of the operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openvino import opset16 as o

from kfun.backends.openvino.value import Value, as_value, constant, first_of, promoted


def broadcasting(make: Callable, operands: Sequence[Any], dtype: Any) -> Value:
    """`make(*outputs)` of operands that broadcast, stored as the first of them that is a deferred one.

    Args:
        make: takes graph outputs of one storage order, gives a node.
        operands: values, sizes, weak arrays.
        dtype: their type, or one for each.
    """
    types = [dtype] * len(operands) if isinstance(dtype, str) else dtype
    values = [as_value(x, d) for x, d in zip(operands, types, strict=True)]
    rank = max(x.ndim for x in values)
    if any(x.deferred and x.ndim == rank for x in values):
        return Value(first=make(*[first_of(x, rank) for x in values]))
    return Value(make(*[x.output for x in values]))


def scalar_like(x: float, like: Any) -> Any:
    """A constant in the type of a graph output."""
    return constant(x, Value(like).dtype).output


def binary(make: Callable, floating: bool = False) -> Callable:
    """The rule of a function of two arrays that promote; the result is never an integer if `floating`."""

    def rule(x1, x2):
        return broadcasting(make, (x1, x2), promoted(x1, x2, floating=floating))

    return rule


def unary(make: Callable, floating: bool = True) -> Callable:
    """The rule of a function of one array, whose result is never an integer if `floating`."""

    def rule(x):
        return broadcasting(make, (x,), promoted(x, floating=floating))

    return rule


def truth(x: Any) -> Value:
    """`x != 0` as bool."""
    x = as_value(x)
    return x if x.dtype == "bool" else broadcasting(lambda v: o.not_equal(v, scalar_like(0, v)), (x,), x.dtype)
