"""What a graph backend knows of its operands before the graph runs: their types, and sizes that have to be known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kfun import dtypes


def operand_types(value: type, dim: type, as_value: Callable) -> tuple[Callable[[Any], str], Callable[..., str]]:
    """`(dtype_of, promoted)` of a backend's operands.

    Args:
        value: the class of graph values.
        dim: the class of sizes.
        as_value: makes a graph value of a weak array.
    """

    def dtype_of(x: Any) -> str:
        """The dtype of an operand for promotion: weak for Python scalars and sizes."""
        if isinstance(x, value):
            return x.dtype
        if isinstance(x, dim):
            return "int"
        return dtypes.weak(x) or as_value(x).dtype

    def promoted(*operands: Any, floating: bool = False) -> str:
        """The dtype that operands promote to, never an integer if `floating`."""
        names = [dtype_of(x) for x in operands]
        return dtypes.inexact(*names) if floating else dtypes.settle(dtypes.promote(*names))

    return dtype_of, promoted


def known_size(backend: str, size: Any, what: str) -> int:
    """A size that the graph's structure depends on; raises TypeError if it is open.

    Args:
        backend: its name in the message.
        size: an int, or a size of the graph.
        what: the size in words.
    """
    if not isinstance(size, (int, np.integer)):
        raise TypeError(f"{backend} needs to know {what} when the graph is built: fix that size in the Spec")
    return int(size)
