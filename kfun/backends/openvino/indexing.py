"""Selection and order by values on OpenVINO: indexing, gather, slices, scatter, sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.graph_rules import axes_of
from kfun.backends.graphs.indexing import FAR, match_other_axes, planned, start_list
from kfun.backends.openvino import shaping as shaping
from kfun.backends.openvino.elementwise import elementwise, where
from kfun.backends.openvino.value import (
    Dim,
    Value,
    as_value,
    cast,
    constant,
    integers,
    output_of,
    promoted,
    stored_axis,
)


def getitem(x, index):
    """Slices first, in one op; then the arrays, then the axes that vanish and the new ones."""
    x = as_value(x)
    cuts, gathered, gone, new = planned(index, x, _index_array)
    x = _slice(x, cuts)
    if gathered is not None:
        at, indices = gathered
        x = take(x, indices, at)
    if gone:
        x = Value(o.squeeze(x.output, integers(gone)))
    return Value(o.unsqueeze(x.output, integers(new))) if new else x


def _index_array(part: Any) -> Value:
    return as_value(cast(as_value(part), "int64") if isinstance(part, Dim) else part)


def _slice(x: Value, cuts: Sequence[tuple]) -> Value:
    if not cuts:
        return x
    axes, starts, stops, steps = zip(*cuts, strict=True)
    if x.deferred:
        axes = [stored_axis(a, x.ndim) for a in axes]
    made = o.slice(
        x.first if x.deferred else x.output, integers(starts), integers(stops), integers(steps), integers(axes)
    )
    return Value(first=made) if x.deferred else Value(made)


def take(x, indices, axis=None):
    x = as_value(x)
    if axis is None:
        x, axis = shaping.reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    if x.constant is not None and getattr(indices, "constant", None) is not None:
        return constant(np.take(x.constant, indices.constant, axis, mode="wrap"), x.dtype)
    if 0 in [n for n in as_value(indices).shape if isinstance(n, int)]:  # the CPU plugin crashes on an empty Gather
        return shaping.zeros((*x.shape[:axis], *as_value(indices).shape, *x.shape[axis + 1 :]), x.dtype)
    return Value(o.gather(x.output, _in_range(as_value(indices), x.shape[axis]).output, integers(axis)))


def _in_range(indices: Value, size: Any) -> Value:
    """Indices counted from the front or the end, clipped to the axis."""
    if indices.constant is not None and isinstance(size, int) and size:
        return constant(np.clip(indices.constant, -size, size - 1), "int32")
    low, high = (output_of(v, indices.dtype) for v in (-size, size - 1))
    clipped = lambda i: o.maximum(o.minimum(i, high), low)  # noqa: E731
    if indices.dtype.startswith("uint"):
        clipped = lambda i: o.minimum(i, high)  # noqa: E731
    return elementwise(clipped, (indices,), indices.dtype)


def take_along_axis(x, indices, axis=None):
    x, indices = as_value(x), as_value(indices)
    if axis is None:
        x, indices, axis = shaping.reshape(x, (-1,)), shaping.reshape(indices, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    size = x.shape[axis]
    indices = cast(_in_range(cast(indices, "int32"), size), "int32")
    indices = where(elementwise(o.less, (indices, 0), "int32"), indices + size, indices)
    x, indices = match_other_axes(x, indices, axis)
    return Value(o.gather_elements(x.output, indices.output, axis))


def slice_(inputs, start_indices, shape):
    x = as_value(inputs)
    cuts = []
    for axis, (start, size) in enumerate(zip(start_list(start_indices, Value, x.ndim), shape, strict=True)):
        length = x.shape[axis]
        if size is length or (isinstance(size, int) and isinstance(length, int) and size == length):
            continue
        start = _clamped(start, length, size)
        cuts.append((axis, start, start + size, 1))
    return _slice(x, cuts)


def _clamped(start: Any, length: Any, size: Any) -> Any:
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


def slice_update(inputs, start_indices, updates):
    """Replaces the block axis by axis: what lies before and behind it is joined back on."""
    x = as_value(inputs)
    updates = as_value(updates, x.dtype)
    return _update(x, start_list(start_indices, Value, x.ndim), updates, 0)


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
        inner = _update(_slice(x, [(axis, start, end, 1)]), starts, updates, axis + 1)
    before, after = _slice(x, [(axis, 0, start, 1)]), _slice(x, [(axis, end, FAR, 1)])
    return shaping.concatenate([before, inner, after], axis)


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Ids out of range go to a row behind the last, which is cut off."""
    data, ids = as_value(data), as_value(segment_ids, "int32")
    if num_segments is None:
        count = Value(o.add(o.reduce_max(ids.output, integers([0]), False), output_of(1, "int32")))
        num_segments = Dim(lambda: cast(count, "int64"))
    last = output_of(num_segments, "int32")
    outside = lambda i: o.logical_or(o.less(i, output_of(0, "int32")), o.greater(i, last))  # noqa: E731
    ids = elementwise(lambda i: o.select(outside(i), last, i), (ids,), "int32")
    blank = shaping.zeros((num_segments + 1, *data.shape[1:]), data.dtype)
    total = o.scatter_nd_update(blank.output, o.unsqueeze(ids.output, integers([1])), data.output, "sum")
    return _slice(Value(total), [(0, 0, num_segments, 1)])


def ordered(x: Any, k: Any, axis: int, mode: str) -> tuple[Value, Value]:
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    k = x.shape[axis] if k is None else k
    wide = cast(x, "int32") if x.dtype == "bool" else x
    values, indices = o.topk(wide.output, integers(k), axis, mode, "value", "i32", stable=True).outputs()
    return cast(Value(values), x.dtype), Value(indices)


def top_k(x, k, sorted=True):
    return ordered(x, k, -1, "max")


def _argument(mode: str) -> Any:
    """argmax and argmin: the first index of the extreme; NaN counts as infinite."""
    beyond = np.inf if mode == "max" else -np.inf

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        if dtypes.is_float(x.dtype):
            x = where(elementwise(o.is_nan, (x,), x.dtype), beyond, x)
        rank = x.ndim
        flat = shaping.reshape(x, (-1,)) if axis is None else x
        at = 0 if axis is None else axis
        indices = ordered(flat, 1, at, mode)[1]
        if axis is None:
            return shaping.reshape(indices, (1,) * rank if keepdims else ())
        return indices if keepdims else shaping.squeeze(indices, at)

    return rule


def searchsorted(sorted_sequence, values, side="left"):
    if side not in ("left", "right"):
        raise ValueError(f"ops.searchsorted: expected side 'left' or 'right'; received {side!r}")
    dtype = promoted(sorted_sequence, values)
    values = as_value(values, dtype)
    flat = values if values.ndim == 1 else shaping.reshape(values, (-1,))
    found = o.search_sorted(output_of(sorted_sequence, dtype), flat.output, side == "right")
    size = as_value(sorted_sequence).shape[0]
    found = cast(Value(found), "int32")
    if not (isinstance(size, int) and size):  # the CPU writes no numbers for an empty sequence
        found = elementwise(lambda i, n: o.maximum(o.minimum(i, n), o.subtract(n, n)), (found, size), "int32")
    return found if values.ndim == 1 else shaping.reshape(found, values.shape)


RULES = {
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "sort": lambda x, axis=-1: ordered(x, None, axis, "min")[0],
    "argsort": lambda x, axis=-1: ordered(x, None, axis, "min")[1],
    "top_k": top_k,
    "argmax": _argument("max"),
    "argmin": _argument("min"),
    "searchsorted": searchsorted,
}
