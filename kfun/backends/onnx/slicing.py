"""Slices and blocks on ONNX, by which indices are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kfun.backends.graphs.indexing import FAR
from kfun.backends.onnx.sizes import claim
from kfun.backends.onnx.value import Value, as_value, cast, constant, dim_of, emit, integers


def sliced(x: Value, cuts: Sequence[tuple], sizes: Sequence[Any] | None = None) -> Value:
    """Cuts of `(axis, start, stop, step)`, and the sizes that they leave where those are known."""
    if not cuts:
        return x
    axes, starts, stops, steps = zip(*cuts, strict=True)
    shape = list(x.shape)
    for i, (axis, start, stop, step) in enumerate(cuts):
        static = isinstance(shape[axis], int) and all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
        if sizes is not None:
            shape[axis] = claim([sizes[i]])[0]
        elif static:
            shape[axis] = len(range(*slice(start, None if stop == -FAR - 1 else stop, step).indices(shape[axis])))
        else:
            shape[axis] = None
    return emit("Slice", x, *map(integers, (starts, stops, axes, steps)), shape=shape)


def in_range(indices: Value, size: Any) -> Value:
    """Indices counted from the front or the end, clipped to the axis, int32 or int64."""
    if indices.constant is not None and isinstance(size, int) and size:
        return constant(np.clip(indices.constant, -size, size - 1), "int32")
    wide = indices if indices.dtype in ("int32", "int64") else cast(indices, "int64")
    return emit("Min", emit("Max", wide, as_value(-size, wide.dtype)), as_value(size - 1, wide.dtype))


def clamped(start: Any, length: Any, size: Any) -> Any:
    """The start moved so that the block lies inside, as `lax.dynamic_slice` does."""
    if isinstance(start, (int, np.integer)) and start == 0:
        return 0
    room = length - size
    if isinstance(start, (int, np.integer)) and isinstance(room, int):
        return min(max(int(start) if start >= 0 else int(start) + length, 0), room)
    start, zero = as_value(start, "int64"), as_value(0, "int64")
    start = emit("Where", emit("Less", start, zero), emit("Add", start, as_value(length, "int64")), start)
    return dim_of(emit("Max", emit("Min", start, as_value(room, "int64")), zero))
