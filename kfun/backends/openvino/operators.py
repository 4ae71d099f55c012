"""Integer division as the CPU needs it, and Python's operators on graph values and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openvino as ov
from openvino import opset16 as o

from kfun.backends.graphs.graph_rules import install_operators
from kfun.backends.openvino.value import Dim, Value, constant, output_of


def _at_least_32_bits(compute: Callable) -> Callable:
    """Narrow integers as int32: the CPU saturates where their arithmetic overflows."""

    def wide(x: ov.Output, y: ov.Output) -> ov.Node:
        kind = x.get_element_type()
        if kind.size >= 4:
            return compute(x, y)
        return o.convert(compute(*[o.convert(v, "i32").output(0) for v in (x, y)]), kind.get_type_name())

    return wide


@_at_least_32_bits
def floor_divide_integers(x: ov.Output, y: ov.Output) -> ov.Node:
    """`floor(x / y)`. The CPU divides integers as float32: the remainders correct the quotient."""
    quotient = o.divide(x, y)
    quotient = o.add(quotient, o.divide(o.subtract(x, o.multiply(quotient, y)), y))
    rest = o.subtract(x, o.multiply(quotient, y))
    zero = constant(0, Value(x).dtype).output
    below = o.logical_and(o.not_equal(rest, zero), o.not_equal(o.less(rest, zero), o.less(y, zero)))
    return o.subtract(quotient, o.convert(below, x.get_element_type().get_type_name()))


@_at_least_32_bits
def remainder_integers(x: ov.Output, y: ov.Output) -> ov.Node:
    """`x - y * floor(x / y)`."""
    return o.subtract(x, o.multiply(floor_divide_integers(x, y), y))


def _size(compute: Callable) -> Callable:
    def method(x: Any, y: Any) -> Dim:
        result = Value(compute(output_of(x, "int64"), output_of(y, "int64")))
        return Dim(lambda: result)

    return method


_SIZES = {
    "add": o.add,
    "sub": o.subtract,
    "mul": o.multiply,
    "floordiv": floor_divide_integers,
    "mod": remainder_integers,
}
install_operators(Value, Dim, {symbol: _size(compute) for symbol, compute in _SIZES.items()})
