"""Integer division as the CPU needs it, and Python's operators on graph values and sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openvino as ov
from openvino import opset16 as o

from kfun import ops
from kfun.backends._openvino_value import Dim, Value, constant, output_of


def floor_divide_integers(x: ov.Output, y: ov.Output) -> ov.Node:
    """`floor(x / y)`. The CPU divides integers as float32: the remainders correct the quotient."""
    quotient = o.divide(x, y)
    quotient = o.add(quotient, o.divide(o.subtract(x, o.multiply(quotient, y)), y))
    rest = o.subtract(x, o.multiply(quotient, y))
    zero = constant(0, Value(x).dtype).output
    below = o.logical_and(o.not_equal(rest, zero), o.not_equal(o.less(rest, zero), o.less(y, zero)))
    return o.subtract(quotient, o.convert(below, x.get_element_type().get_type_name()))


def remainder_integers(x: ov.Output, y: ov.Output) -> ov.Node:
    """`x - y * floor(x / y)`."""
    return o.subtract(x, o.multiply(floor_divide_integers(x, y), y))


def _size_arithmetic(compute: Callable, op: Callable) -> Callable:
    """A method of `Dim`: gives a size for an int or a size, an array for a float."""

    def method(self, other):
        if isinstance(other, float):
            return op(self, other)
        if not isinstance(other, (int, np.integer, Dim)):
            return NotImplemented
        result = Value(compute(output_of(self, "int64"), output_of(other, "int64")))
        return Dim(lambda: result)

    return method


def _reflected(op: Callable) -> Callable:
    return lambda self, other: op(other, self)


def _install() -> None:
    symbols = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide"}
    symbols |= {"mod": "mod", "pow": "power", "matmul": "matmul"}
    for symbol, name in symbols.items():
        setattr(Value, f"__{symbol}__", getattr(ops, name))
        setattr(Value, f"__r{symbol}__", _reflected(getattr(ops, name)))
    comparisons = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
    comparisons |= {"eq": "equal", "ne": "not_equal"}
    for symbol, name in comparisons.items():
        setattr(Value, f"__{symbol}__", getattr(ops, name))
    Value.__neg__, Value.__abs__, Value.__invert__ = ops.negative, ops.abs, ops.logical_not
    sizes = {"add": o.add, "sub": o.subtract, "mul": o.multiply}
    sizes |= {"floordiv": floor_divide_integers, "mod": remainder_integers}
    for symbol, compute in sizes.items():
        op = getattr(ops, symbols[symbol])
        setattr(Dim, f"__{symbol}__", _size_arithmetic(compute, op))
        setattr(Dim, f"__r{symbol}__", _size_arithmetic(lambda x, y, f=compute: f(y, x), _reflected(op)))
    for symbol in ("truediv", "pow"):  # no longer a size
        setattr(Dim, f"__{symbol}__", getattr(ops, symbols[symbol]))
        setattr(Dim, f"__r{symbol}__", _reflected(getattr(ops, symbols[symbol])))


_install()
