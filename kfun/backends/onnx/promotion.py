"""Rules of functions of one and two arrays on ONNX, in the type that these promote to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfun.backends.onnx.value import Value, as_value, cast, emit, promoted


def unary(make: str | Callable, floating: bool = True) -> Callable:
    """The rule of a function of one array, whose result is never an integer if `floating`."""

    def rule(x):
        x = as_value(x, promoted(x, floating=floating))
        return emit(make, x) if isinstance(make, str) else make(x)

    return rule


def binary(make: str | Callable, floating: bool = False, logical: str | None = None) -> Callable:
    """The rule of a function of two arrays that promote.

    Args:
        make: an operation of ONNX, or a function of two values of one type.
        floating: whether the result is never an integer.
        logical: the operation on bools, if there is one of its own.
    """

    def rule(x1, x2):
        dtype = promoted(x1, x2, floating=floating)
        x1, x2 = as_value(x1, dtype), as_value(x2, dtype)
        if dtype == "bool" and logical:
            return emit(logical, x1, x2)
        return emit(make, x1, x2) if isinstance(make, str) else make(x1, x2)

    return rule


def truth(x: Any) -> Value:
    """`x != 0` as bool."""
    return cast(as_value(x), "bool")
