"""Sizes that ops are given on ONNX: ints and `Dim`s, mixed, or an array of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kfun.backends.onnx.value import Dim, Value, as_value, emit, integers


def size_list(shape: Any) -> list:
    """The sizes of a shape one by one; an int is a shape of one axis."""
    if isinstance(shape, Value):
        return [shape[i] for i in range(len(shape))]
    return [shape] if isinstance(shape, (int, np.integer, Dim)) else list(shape)


def claim(sizes: Sequence[Any]) -> list:
    """What sizes say of a shape: nothing where they are values of the graph."""
    return [int(s) if isinstance(s, (int, np.integer)) else s if isinstance(s, Dim) else None for s in sizes]


def expanded(x: Any, shape: Any) -> Value:
    """`x` broadcast to a shape."""
    sizes = size_list(shape)
    return emit("Expand", as_value(x), integers(sizes), shape=claim(sizes))
