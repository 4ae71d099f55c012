"""Slices and blocks on OpenVINO, by which indices are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun.backends.openvino.promotion import broadcasting
from kfun.backends.openvino.value import Dim, Value, as_value, constant, integers, output_of, stored_axis


def sliced(x: Value, cuts: Sequence[tuple]) -> Value:
    """Cuts of `(axis, start, stop, step)`."""
    if not cuts:
        return x
    axes, starts, stops, steps = zip(*cuts, strict=True)
    if x.deferred:
        axes = [stored_axis(a, x.ndim) for a in axes]
    made = o.slice(
        x.first if x.deferred else x.output, integers(starts), integers(stops), integers(steps), integers(axes)
    )
    return Value(first=made) if x.deferred else Value(made)


def in_range(indices: Value, size: Any) -> Value:
    """Indices counted from the front or the end, clipped to the axis."""
    if indices.constant is not None and isinstance(size, int) and size:
        return constant(np.clip(indices.constant, -size, size - 1), "int32")
    low, high = (output_of(v, indices.dtype) for v in (-size, size - 1))
    clipped = lambda i: o.maximum(o.minimum(i, high), low)  # noqa: E731
    if indices.dtype.startswith("uint"):
        clipped = lambda i: o.minimum(i, high)  # noqa: E731
    return broadcasting(clipped, (indices,), indices.dtype)


def clamped(start: Any, length: Any, size: Any) -> Any:
    """The start moved so that the block lies inside, as `lax.dynamic_slice` does."""
    if isinstance(start, (int, np.integer)) and start == 0:
        return 0
    room = length - size
    if isinstance(start, (int, np.integer)) and isinstance(room, int):
        return min(max(int(start) if start >= 0 else int(start) + length, 0), room)
    start = as_value(start, "int64").output
    start = o.select(o.less(start, integers(0)), o.add(start, output_of(length, "int64")), start)
    inside = Value(o.maximum(o.minimum(start, output_of(room, "int64")), integers(0)))
    return Dim(lambda: inside)
