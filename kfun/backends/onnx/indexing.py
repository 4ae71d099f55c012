"""Selection and order by values on ONNX: indexing, gather, slices, scatter, sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kfun import dtypes
from kfun.backends.graphs.graph_rules import axes_of
from kfun.backends.graphs.indexing import FAR, match_other_axes, planned, start_list
from kfun.backends.onnx import shaping as shaping
from kfun.backends.onnx.elementwise import truth
from kfun.backends.onnx.sizes import claim
from kfun.backends.onnx.value import Dim, Value, as_value, cast, constant, dim_of, emit, integers, promoted


def getitem(x, index):
    """Slices first, in one operation; then the arrays, then the axes that vanish and the new ones."""
    x = as_value(x)
    cuts, gathered, gone, new = planned(index, x, _index_array)
    x = _slice(x, cuts)
    if gathered is not None:
        at, indices = gathered
        x = take(x, indices, at)
    if gone:
        x = shaping.squeeze(x, gone)
    return emit("Unsqueeze", x, integers(new)) if new else x


def _index_array(part: Any) -> Value:
    return as_value(part, "int64" if isinstance(part, Dim) else None)


def _slice(x: Value, cuts: Sequence[tuple], sizes: Sequence[Any] | None = None) -> Value:
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


def take(x, indices, axis=None):
    x, indices = as_value(x), as_value(indices)
    if axis is None:
        x, axis = shaping.reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    if x.constant is not None and indices.constant is not None and x.shape[axis]:
        return constant(np.take(x.constant, _in_range(indices, x.shape[axis]).constant, axis, mode="wrap"), x.dtype)
    return emit("Gather", x, _in_range(indices, x.shape[axis]), axis=axis)


def _in_range(indices: Value, size: Any) -> Value:
    """Indices counted from the front or the end, clipped to the axis, int32 or int64."""
    if indices.constant is not None and isinstance(size, int) and size:
        return constant(np.clip(indices.constant, -size, size - 1), "int32")
    wide = indices if indices.dtype in ("int32", "int64") else cast(indices, "int64")
    return emit("Min", emit("Max", wide, as_value(-size, wide.dtype)), as_value(size - 1, wide.dtype))


def take_along_axis(x, indices, axis=None):
    x, indices = as_value(x), as_value(indices)
    if axis is None:
        x, indices, axis = shaping.reshape(x, (-1,)), shaping.reshape(indices, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    x, indices = match_other_axes(x, _in_range(indices, x.shape[axis]), axis)
    return emit("GatherElements", x, indices, axis=axis, shape=indices.shape)


def slice_(inputs, start_indices, shape):
    x = as_value(inputs)
    cuts, sizes = [], []
    for axis, (start, size) in enumerate(zip(start_list(start_indices, Value, x.ndim), shape, strict=True)):
        length = x.shape[axis]
        if size is length or (isinstance(size, int) and isinstance(length, int) and size == length):
            continue
        start = _clamped(start, length, size)
        cuts.append((axis, start, start + size, 1))
        sizes.append(size)
    return _slice(x, cuts, sizes)


def _clamped(start: Any, length: Any, size: Any) -> Any:
    """The start moved so that the block lies inside, as `lax.dynamic_slice` does."""
    if isinstance(start, (int, np.integer)) and start == 0:
        return 0
    room = length - size
    if isinstance(start, (int, np.integer)) and isinstance(room, int):
        return min(max(int(start) if start >= 0 else int(start) + length, 0), room)
    start, zero = as_value(start, "int64"), as_value(0, "int64")
    start = emit("Where", emit("Less", start, zero), emit("Add", start, as_value(length, "int64")), start)
    return dim_of(emit("Max", emit("Min", start, as_value(room, "int64")), zero))


def slice_update(inputs, start_indices, updates):
    """Replaces the block axis by axis: what lies before and behind it is joined back on."""
    x = as_value(inputs)
    return _update(x, start_list(start_indices, Value, x.ndim), as_value(updates, x.dtype), 0)


def _update(x: Value, starts: Sequence[Any], updates: Value, axis: int) -> Value:
    while axis < x.ndim:
        length, size = x.shape[axis], updates.shape[axis]
        if not (isinstance(length, int) and isinstance(size, int) and length == size):
            break
        axis += 1
    if axis == x.ndim:
        return updates
    start = _clamped(starts[axis], length, size)
    end = start + size
    inner = updates
    if axis + 1 < x.ndim:
        inner = _update(_slice(x, [(axis, start, end, 1)], [size]), starts, updates, axis + 1)
    before, after = _slice(x, [(axis, 0, start, 1)]), _slice(x, [(axis, end, FAR, 1)])
    return emit("Concat", before, inner, after, axis=axis, shape=x.shape)


SCATTERED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32"}
SCATTERED |= {"float16": "float32", "bfloat16": "float32"}


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Ids out of range go to a row behind the last, which is cut off."""
    data, ids = as_value(data), as_value(segment_ids, "int64")
    if num_segments is None:
        top = emit("ReduceMax", ids, integers([0]), keepdims=0)
        num_segments = dim_of(emit("Add", top, as_value(1, "int64")))
    last, zero = as_value(num_segments, "int64"), as_value(0, "int64")
    inside = emit("And", emit("GreaterOrEqual", ids, zero), emit("Less", ids, last))
    ids = emit("Where", inside, ids, last)
    wide = cast(data, SCATTERED.get(data.dtype, data.dtype))
    blank = shaping.zeros((num_segments + 1, *data.shape[1:]), wide.dtype)
    total = emit("ScatterND", blank, shaping.expand_dims(ids, 1), wide, reduction="add")
    return cast(_slice(total, [(0, 0, num_segments, 1)], [num_segments]), data.dtype)


def scatter_update(inputs, indices, updates, reduction=None):
    """As ONNX's ScatterND, which adds and multiplies fewer types than it moves."""
    if reduction not in (None, "add", "max", "min", "mul"):
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    x, indices = as_value(inputs), as_value(indices, "int64")
    wide = x.dtype if reduction is None else SCATTERED.get(x.dtype, x.dtype)
    updates = cast(as_value(updates, x.dtype), wide)
    made = emit("ScatterND", cast(x, wide), indices, updates, reduction=reduction or "none", shape=x.shape)
    return cast(made, x.dtype)


def nonzero(x):
    x = as_value(x)
    found = cast(emit("NonZero", truth(x)), "int32")  # [rank, count]
    return tuple(getitem(found, i) for i in range(x.ndim))


def _ordered(x: Any, k: Any, axis: int, largest: bool) -> tuple[Value, Value]:
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    k = x.shape[axis] if k is None else k
    shape = [n if i != axis else claim([k])[0] for i, n in enumerate(x.shape)]
    values, indices = emit("TopK", x, integers([k]), outputs=2, shape=shape, axis=axis, largest=int(largest))
    return values, cast(indices, "int32")


def _argument(op: str) -> Any:
    """argmax and argmin: the first index of the extreme; NaN counts as infinite."""
    beyond = np.inf if op == "ArgMax" else -np.inf

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        rank = x.ndim
        if dtypes.is_float(x.dtype):
            x = emit("Where", emit("IsNaN", x), as_value(beyond, x.dtype), x)
        if axis is None:
            x = shaping.reshape(x, (-1,))
        indices = cast(emit(op, x, axis=0 if axis is None else axes_of(axis, rank)[0], keepdims=int(keepdims)), "int32")
        return shaping.reshape(indices, (1,) * rank) if axis is None and keepdims else indices

    return rule


def searchsorted(sorted_sequence, values, side="left"):
    """The number of elements below each value: ONNX has no search."""
    if side not in ("left", "right"):
        raise ValueError(f"ops.searchsorted: expected side 'left' or 'right'; received {side!r}")
    dtype = promoted(sorted_sequence, values)
    values = shaping.expand_dims(as_value(values, dtype), -1)
    below = emit("Less" if side == "left" else "LessOrEqual", as_value(sorted_sequence, dtype), values)
    return emit("ReduceSum", cast(below, "int32"), integers([values.ndim - 1]), keepdims=0)


RULES = {
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "scatter_update": scatter_update,
    "nonzero": nonzero,
    "sort": lambda x, axis=-1: _ordered(x, None, axis, False)[0],
    "argsort": lambda x, axis=-1: _ordered(x, None, axis, False)[1],
    "top_k": lambda x, k, sorted=True: _ordered(x, k, -1, True),
    "argmax": _argument("ArgMax"),
    "argmin": _argument("ArgMin"),
    "searchsorted": searchsorted,
}
