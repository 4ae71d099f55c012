"""Shape, order and indexing on OpenVINO. Sizes may be ints and `Dim`s, mixed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun.backends.graphs.graph_rules import axes_of, check_reshape, known, pad_pairs
from kfun.backends.graphs.indexing import FAR, match_other_axes, planned, start_list
from kfun.backends.openvino.creation import arange, size_list, zeros
from kfun.backends.openvino.elementwise import where
from kfun.backends.openvino.promotion import broadcasting
from kfun.backends.openvino.slicing import clamped, in_range, sliced
from kfun.backends.openvino.value import (
    Dim,
    Value,
    as_value,
    cast,
    constant,
    first_of,
    integers,
    known_size,
    output_of,
    promoted,
    stored_axis,
)


def reshape(x, newshape):
    x = as_value(x)
    sizes = size_list(newshape)
    if x.constant is not None and known(sizes):
        return constant(x.constant.reshape(sizes), x.dtype)
    unknown = [i for i, s in enumerate(sizes) if not isinstance(s, (int, np.integer))]
    if len(unknown) == 1 and all(i in unknown or s > 0 for i, s in enumerate(sizes)):
        sizes[unknown[0]] = -1  # the one size that is open follows from the others
    check_reshape(x.shape, sizes)
    return Value(o.reshape(x.output, integers(sizes), False))


def transpose(x, axes=None):
    x = as_value(x)
    order = axes_of(tuple(axes), x.ndim) if axes is not None else list(range(x.ndim))[::-1]
    if order == list(range(x.ndim)):
        return x
    if x.constant is not None:
        return constant(x.constant.transpose(order), x.dtype)
    if x.deferred:
        stored = [stored_axis(a, x.ndim) for a in order]
        first = stored == list(range(x.ndim))
        return Value(x.first if first else o.transpose(x.first, integers(stored)))
    return Value(o.transpose(x.output, integers(order)))


def expand_dims(x, axis):
    x = as_value(x)
    count = len(axis) if isinstance(axis, (list, tuple)) else 1
    axes = axes_of(axis if isinstance(axis, (list, tuple)) else [axis], x.ndim + count)
    if x.constant is not None:
        return constant(np.expand_dims(x.constant, tuple(axes)), x.dtype)
    return Value(o.unsqueeze(x.output, integers(axes)))


def squeeze(x, axis=None):
    """With `axis` None, axes whose size is only known at run time stay."""
    x = as_value(x)
    shape = x.shape
    axes = [i for i, s in enumerate(shape) if isinstance(s, int) and s == 1] if axis is None else axes_of(axis, x.ndim)
    for a in axes:
        if isinstance(shape[a], int) and shape[a] != 1:
            raise ValueError(f"ops.squeeze: axis {a} of shape {shape} is not 1")
    return Value(o.squeeze(x.output, integers(axes))) if axes else x


def broadcast_to(x, shape):
    return Value(o.broadcast(output_of(x), integers(size_list(shape))))


def concatenate(xs, axis=0):
    dtype = promoted(*xs)
    values = [as_value(x, dtype) for x in xs]
    rank = values[0].ndim
    (axis,) = axes_of([axis], rank)
    if any(x.deferred for x in values) and rank > 2:
        return Value(first=o.concat([first_of(x, rank) for x in values], stored_axis(axis, rank)))
    return Value(o.concat([x.output for x in values], axis))


def stack(x, axis=0):
    dtype = promoted(*x)
    values = [as_value(e, dtype) for e in x]
    (axis,) = axes_of([axis], values[0].ndim + 1)
    return Value(o.concat([o.unsqueeze(e.output, integers([axis])) for e in values], axis))


def split(x, indices_or_sections, axis=0):
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    at = stored_axis(axis, x.ndim) if x.deferred else axis
    made = lambda part: Value(first=part) if x.deferred else Value(part)  # noqa: E731
    stored, size = (x.first if x.deferred else x.output), x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer, Dim)):
        n = known_size(indices_or_sections, "the number of parts of ops.split or ops.unstack")
        if n < 1 or (isinstance(size, int) and size % n):
            raise ValueError(f"ops.split: axis {axis} of {x!r} does not divide into {n} equal parts")
        return [made(part) for part in o.split(stored, integers(at), n).outputs()]
    cuts = [0, *size_list(indices_or_sections)]
    lengths = [after - before for before, after in itertools.pairwise(cuts)]
    return [made(part) for part in o.variadic_split(stored, integers(at), integers([*lengths, -1])).outputs()]


def pad(x, pad_width, mode="constant", constant_values=None):
    x = as_value(x)
    pairs = pad_pairs(pad_width, x.ndim)
    if mode not in ("constant", "reflect", "symmetric", "edge"):
        raise ValueError(f"ops.pad: expected mode 'constant', 'reflect', 'symmetric' or 'edge'; received {mode!r}")
    if x.dtype == "bool":
        return cast(pad(cast(x, "uint8"), pairs, mode, constant_values), "bool")
    fill = output_of(0 if constant_values is None else constant_values, x.dtype) if mode == "constant" else None
    if x.deferred:
        pairs = [pairs[0], pairs[-1], *pairs[1:-1]]
    before, after = (integers([p[i] for p in pairs]) for i in (0, 1))
    if x.deferred:
        return Value(first=o.pad(x.first, before, after, mode, fill))
    return Value(o.pad(x.output, before, after, mode, fill))


def tile(x, repeats):
    x = as_value(x)
    counts = size_list(repeats)
    counts = [1] * (x.ndim - len(counts)) + counts
    if len(counts) > x.ndim:
        x = expand_dims(x, list(range(len(counts) - x.ndim)))
    return Value(o.tile(x.output, integers(counts)))


def repeat(x, repeats, axis=None):
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    shape = list(x.shape)
    counts = [1] * (x.ndim + 1)
    counts[axis + 1] = repeats
    copies = Value(o.tile(expand_dims(x, axis + 1).output, integers(counts)))
    return reshape(copies, [*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]])


def flip(x, axis=None):
    x = as_value(x)
    axes = axes_of(axis, x.ndim)
    n = len(axes)
    ends = integers([np.iinfo(np.int32).min] * n)
    return Value(o.slice(x.output, integers([-1] * n), ends, integers([-1] * n), integers(axes))) if n else x


def roll(x, shift, axis=None):
    x = as_value(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    axes = axes_of(axis, x.ndim)
    shifts = [shift] * len(axes) if isinstance(shift, (int, Dim)) else list(shift)
    return Value(o.roll(x.output, integers(shifts), integers(axes)))


def _triangle(keep: Any) -> Any:
    def rule(x, k=0):
        x = as_value(x)
        rows, columns = x.shape[-2:]
        row = expand_dims(arange(0, rows, 1, "int32"), 1)
        column = arange(0, columns, 1, "int32")
        kept = broadcasting(lambda i, j: keep(o.subtract(j, i), constant(k, "int32").output), (row, column), "int32")
        return broadcasting(o.select, (kept, x, 0), ("bool", x.dtype, x.dtype))

    return rule


def getitem(x, index):
    """Slices first, in one op; then the arrays, then the axes that vanish and the new ones."""
    x = as_value(x)
    cuts, gathered, gone, new = planned(index, x, _index_array)
    x = sliced(x, cuts)
    if gathered is not None:
        at, indices = gathered
        x = take(x, indices, at)
    if gone:
        x = Value(o.squeeze(x.output, integers(gone)))
    return Value(o.unsqueeze(x.output, integers(new))) if new else x


def _index_array(part: Any) -> Value:
    return as_value(cast(as_value(part), "int64") if isinstance(part, Dim) else part)


def take(x, indices, axis=None):
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    if x.constant is not None and getattr(indices, "constant", None) is not None:
        return constant(np.take(x.constant, indices.constant, axis, mode="wrap"), x.dtype)
    if 0 in [n for n in as_value(indices).shape if isinstance(n, int)]:  # the CPU plugin crashes on an empty Gather
        return zeros((*x.shape[:axis], *as_value(indices).shape, *x.shape[axis + 1 :]), x.dtype)
    return Value(o.gather(x.output, in_range(as_value(indices), x.shape[axis]).output, integers(axis)))


def take_along_axis(x, indices, axis=None):
    x, indices = as_value(x), as_value(indices)
    if axis is None:
        x, indices, axis = reshape(x, (-1,)), reshape(indices, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    size = x.shape[axis]
    indices = cast(in_range(cast(indices, "int32"), size), "int32")
    indices = where(broadcasting(o.less, (indices, 0), "int32"), indices + size, indices)
    x, indices = match_other_axes(x, indices, axis)
    return Value(o.gather_elements(x.output, indices.output, axis))


def slice_(inputs, start_indices, shape):
    x = as_value(inputs)
    cuts = []
    for axis, (start, size) in enumerate(zip(start_list(start_indices, Value, x.ndim), shape, strict=True)):
        length = x.shape[axis]
        if size is length or (isinstance(size, int) and isinstance(length, int) and size == length):
            continue
        start = clamped(start, length, size)
        cuts.append((axis, start, start + size, 1))
    return sliced(x, cuts)


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
    start = clamped(starts[axis], length, size)
    end = start + size
    inner = updates
    if axis + 1 < x.ndim:
        inner = _update(sliced(x, [(axis, start, end, 1)]), starts, updates, axis + 1)
    before, after = sliced(x, [(axis, 0, start, 1)]), sliced(x, [(axis, end, FAR, 1)])
    return concatenate([before, inner, after], axis)


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Ids out of range go to a row behind the last, which is cut off."""
    data, ids = as_value(data), as_value(segment_ids, "int32")
    if num_segments is None:
        count = Value(o.add(o.reduce_max(ids.output, integers([0]), False), output_of(1, "int32")))
        num_segments = Dim(lambda: cast(count, "int64"))
    last = output_of(num_segments, "int32")
    outside = lambda i: o.logical_or(o.less(i, output_of(0, "int32")), o.greater(i, last))  # noqa: E731
    ids = broadcasting(lambda i: o.select(outside(i), last, i), (ids,), "int32")
    blank = zeros((num_segments + 1, *data.shape[1:]), data.dtype)
    total = o.scatter_nd_update(blank.output, o.unsqueeze(ids.output, integers([1])), data.output, "sum")
    return sliced(Value(total), [(0, 0, num_segments, 1)])


def ordered(x: Any, k: Any, axis: int, mode: str) -> tuple[Value, Value]:
    """The `k` least ("min") or greatest ("max") elements along an axis in order, None for all, and their indices."""
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    k = x.shape[axis] if k is None else k
    wide = cast(x, "int32") if x.dtype == "bool" else x
    values, indices = o.topk(wide.output, integers(k), axis, mode, "value", "i32", stable=True).outputs()
    return cast(Value(values), x.dtype), Value(indices)


def top_k(x, k, sorted=True):
    return ordered(x, k, -1, "max")


def searchsorted(sorted_sequence, values, side="left"):
    if side not in ("left", "right"):
        raise ValueError(f"ops.searchsorted: expected side 'left' or 'right'; received {side!r}")
    dtype = promoted(sorted_sequence, values)
    values = as_value(values, dtype)
    flat = values if values.ndim == 1 else reshape(values, (-1,))
    found = o.search_sorted(output_of(sorted_sequence, dtype), flat.output, side == "right")
    size = as_value(sorted_sequence).shape[0]
    found = cast(Value(found), "int32")
    if not (isinstance(size, int) and size):  # the CPU writes no numbers for an empty sequence
        found = broadcasting(lambda i, n: o.maximum(o.minimum(i, n), o.subtract(n, n)), (found, size), "int32")
    return found if values.ndim == 1 else reshape(found, values.shape)


RULES = {
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": broadcast_to,
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "pad": pad,
    "tile": tile,
    "repeat": repeat,
    "flip": flip,
    "roll": roll,
    "tril": _triangle(o.less_equal),
    "triu": _triangle(o.greater_equal),
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "sort": lambda x, axis=-1: ordered(x, None, axis, "min")[0],
    "argsort": lambda x, axis=-1: ordered(x, None, axis, "min")[1],
    "top_k": top_k,
    "searchsorted": searchsorted,
}
