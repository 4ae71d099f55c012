"""Shape, order and indexing on ONNX. Sizes may be ints and `Dim`s, mixed."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kfun.backends.graphs.graph_rules import axes_of, check_reshape, known, pad_pairs
from kfun.backends.graphs.indexing import FAR, match_other_axes, planned, start_list
from kfun.backends.onnx.creation import zeros
from kfun.backends.onnx.kernels import SCATTERED
from kfun.backends.onnx.sizes import claim, expanded, size_list
from kfun.backends.onnx.slicing import clamped, in_range, sliced
from kfun.backends.onnx.value import Dim, Value, as_value, cast, constant, dim_of, emit, integers, known_size, promoted


def reshape(x, newshape):
    x = as_value(x)
    sizes = size_list(newshape)
    check_reshape(x.shape, sizes)
    if x.constant is not None and known(sizes):
        return constant(x.constant.reshape(sizes), x.dtype)
    shape = _resolved(x.shape, sizes)
    unknown = [i for i, s in enumerate(sizes) if not isinstance(s, (int, np.integer))]
    if len(unknown) == 1 and all(i in unknown or s > 0 for i, s in enumerate(sizes)):
        sizes[unknown[0]] = -1  # the one size that is open follows from the others
    none = any(isinstance(s, (int, np.integer)) and s == 0 for s in sizes)
    return emit("Reshape", x, integers(sizes), shape=shape, allowzero=int(none))


def _resolved(shape: Sequence[Any], sizes: Sequence[Any]) -> list:
    """The sizes of a reshape as far as they are known, -1 worked out where all open sizes of `shape` are kept."""
    found = claim(sizes)
    if -1 not in found:
        return found
    before, after = ([s for s in part if isinstance(s, int) and s != -1] for part in (shape, found))
    opens, kept = (collections.Counter(id(s) for s in part if not isinstance(s, int)) for part in (shape, found))
    known_rest = opens == kept and math.prod(after)
    found[found.index(-1)] = math.prod(before) // math.prod(after) if known_rest else None
    return found


def transpose(x, axes=None):
    x = as_value(x)
    order = axes_of(tuple(axes), x.ndim) if axes is not None else list(range(x.ndim))[::-1]
    if order == list(range(x.ndim)):
        return x
    if x.constant is not None:
        return constant(x.constant.transpose(order), x.dtype)
    return emit("Transpose", x, perm=order)


def expand_dims(x, axis):
    x = as_value(x)
    several = isinstance(axis, (list, tuple))
    axes = axes_of(axis if several else [axis], x.ndim + (len(axis) if several else 1))
    if x.constant is not None:
        return constant(np.expand_dims(x.constant, tuple(axes)), x.dtype)
    return emit("Unsqueeze", x, integers(axes))


def squeeze(x, axis=None):
    """With `axis` None, axes whose size is only known at run time stay."""
    x = as_value(x)
    ones = [i for i, s in enumerate(x.shape) if isinstance(s, int) and s == 1]
    axes = ones if axis is None else axes_of(axis, x.ndim)
    for a in axes:
        if isinstance(x.shape[a], int) and x.shape[a] != 1:
            raise ValueError(f"ops.squeeze: axis {a} of shape {x.shape} is not 1")
    if not axes:
        return x
    return emit("Squeeze", x, integers(axes), shape=[n for i, n in enumerate(x.shape) if i not in axes])


def concatenate(xs, axis=0):
    dtype = promoted(*xs)
    values = [as_value(x, dtype) for x in xs]
    (axis,) = axes_of([axis], values[0].ndim)
    return emit("Concat", *values, axis=axis)


def stack(x, axis=0):
    dtype = promoted(*x)
    values = [as_value(e, dtype) for e in x]
    (axis,) = axes_of([axis], values[0].ndim + 1)
    return emit("Concat", *[expand_dims(e, axis) for e in values], axis=axis)


def split(x, indices_or_sections, axis=0):
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer, Dim)):
        n = known_size(indices_or_sections, "the number of parts of ops.split or ops.unstack")
        if n < 1 or (isinstance(size, int) and size % n):
            raise ValueError(f"ops.split: axis {axis} of {x!r} does not divide into {n} equal parts")
        parts = emit("Split", x, outputs=n, axis=axis, num_outputs=n)
        return [parts] if n == 1 else parts
    cuts = [0, *size_list(indices_or_sections), size]
    lengths = [after - before for before, after in itertools.pairwise(cuts)]
    parts = emit("Split", x, integers(lengths), outputs=len(lengths), axis=axis)
    return [parts] if len(lengths) == 1 else parts


def pad(x, pad_width, mode="constant", constant_values=None):
    x = as_value(x)
    pairs = pad_pairs(pad_width, x.ndim)
    if mode not in ("constant", "reflect", "symmetric", "edge"):
        raise ValueError(f"ops.pad: expected mode 'constant', 'reflect', 'symmetric' or 'edge'; received {mode!r}")
    if mode == "symmetric":
        return _mirrored(x, pairs)
    widths = integers([p[i] for i in (0, 1) for p in pairs])
    fill = as_value(0 if constant_values is None else constant_values, x.dtype) if mode == "constant" else None
    shape = [n if _is_zero(p) else None for n, p in zip(x.shape, pairs, strict=True)]
    return emit("Pad", x, widths, fill, mode=mode, shape=shape)


def _is_zero(pair: Sequence[Any]) -> bool:
    return known(pair) and tuple(pair) == (0, 0)


def _mirrored(x: Value, pairs: Sequence[tuple]) -> Value:
    """ONNX has no padding that repeats the edge: the mirrored ends are joined on."""
    for axis, (before, after) in enumerate(pairs):
        if not _is_zero((before, after)):
            size = x.shape[axis]
            ends = _slice(x, axis, 0, before), _slice(x, axis, size - after, size)
            x = emit("Concat", flip(ends[0], axis), x, flip(ends[1], axis), axis=axis)
    return x


def _slice(x: Value, axis: int, start: Any, stop: Any) -> Value:
    kept = [n if i != axis else None for i, n in enumerate(x.shape)]
    return emit("Slice", x, integers([start]), integers([stop]), integers([axis]), shape=kept)


def tile(x, repeats):
    x = as_value(x)
    counts = size_list(repeats)
    counts = [1] * (x.ndim - len(counts)) + counts
    if len(counts) > x.ndim:
        x = expand_dims(x, list(range(len(counts) - x.ndim)))
    shape = [n if isinstance(c, int) and c == 1 else None for n, c in zip(x.shape, counts, strict=True)]
    return emit("Tile", x, integers(counts), shape=shape)


def repeat(x, repeats, axis=None):
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    shape = list(x.shape)
    copies = expanded(expand_dims(x, axis + 1), [*shape[: axis + 1], repeats, *shape[axis + 1 :]])
    return reshape(copies, [*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]])


def flip(x, axis=None):
    x = as_value(x)
    axes = axes_of(axis, x.ndim)
    if not axes:
        return x
    ends, back = [np.iinfo(np.int32).min] * len(axes), [-1] * len(axes)
    return emit("Slice", x, integers(back), integers(ends), integers(axes), integers(back), shape=x.shape)


def roll(x, shift, axis=None):
    x = as_value(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    axes = axes_of(axis, x.ndim)
    shifts = [shift] * len(axes) if isinstance(shift, (int, np.integer, Dim)) else list(shift)
    shape = x.shape
    for by, at in zip(shifts, axes, strict=True):
        size = shape[at]
        if isinstance(size, int) and size == 0:
            continue
        cut = (size - by) % size
        x = emit("Concat", _slice(x, at, cut, size), _slice(x, at, 0, cut), axis=at, shape=shape)
    return x


def _triangle(upper: int) -> Any:
    return lambda x, k=0: emit("Trilu", as_value(x), as_value(k, "int64"), upper=upper)


def getitem(x, index):
    """Slices first, in one operation; then the arrays, then the axes that vanish and the new ones."""
    x = as_value(x)
    cuts, gathered, gone, new = planned(index, x, _index_array)
    x = sliced(x, cuts)
    if gathered is not None:
        at, indices = gathered
        x = take(x, indices, at)
    if gone:
        x = squeeze(x, gone)
    return emit("Unsqueeze", x, integers(new)) if new else x


def _index_array(part: Any) -> Value:
    return as_value(part, "int64" if isinstance(part, Dim) else None)


def take(x, indices, axis=None):
    x, indices = as_value(x), as_value(indices)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    if x.constant is not None and indices.constant is not None and x.shape[axis]:
        return constant(np.take(x.constant, in_range(indices, x.shape[axis]).constant, axis, mode="wrap"), x.dtype)
    return emit("Gather", x, in_range(indices, x.shape[axis]), axis=axis)


def take_along_axis(x, indices, axis=None):
    x, indices = as_value(x), as_value(indices)
    if axis is None:
        x, indices, axis = reshape(x, (-1,)), reshape(indices, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    x, indices = match_other_axes(x, in_range(indices, x.shape[axis]), axis)
    return emit("GatherElements", x, indices, axis=axis, shape=indices.shape)


def slice_(inputs, start_indices, shape):
    x = as_value(inputs)
    cuts, sizes = [], []
    for axis, (start, size) in enumerate(zip(start_list(start_indices, Value, x.ndim), shape, strict=True)):
        length = x.shape[axis]
        if size is length or (isinstance(size, int) and isinstance(length, int) and size == length):
            continue
        start = clamped(start, length, size)
        cuts.append((axis, start, start + size, 1))
        sizes.append(size)
    return sliced(x, cuts, sizes)


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
    start = clamped(starts[axis], length, size)
    end = start + size
    inner = updates
    if axis + 1 < x.ndim:
        inner = _update(sliced(x, [(axis, start, end, 1)], [size]), starts, updates, axis + 1)
    before, after = sliced(x, [(axis, 0, start, 1)]), sliced(x, [(axis, end, FAR, 1)])
    return emit("Concat", before, inner, after, axis=axis, shape=x.shape)


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
    blank = zeros((num_segments + 1, *data.shape[1:]), wide.dtype)
    total = emit("ScatterND", blank, expand_dims(ids, 1), wide, reduction="add")
    return cast(sliced(total, [(0, 0, num_segments, 1)], [num_segments]), data.dtype)


def _ordered(x: Any, k: Any, axis: int, largest: bool) -> tuple[Value, Value]:
    x = as_value(x)
    (axis,) = axes_of([axis], x.ndim)
    k = x.shape[axis] if k is None else k
    shape = [n if i != axis else claim([k])[0] for i, n in enumerate(x.shape)]
    values, indices = emit("TopK", x, integers([k]), outputs=2, shape=shape, axis=axis, largest=int(largest))
    return values, cast(indices, "int32")


def searchsorted(sorted_sequence, values, side="left"):
    """The number of elements below each value: ONNX has no search."""
    if side not in ("left", "right"):
        raise ValueError(f"ops.searchsorted: expected side 'left' or 'right'; received {side!r}")
    dtype = promoted(sorted_sequence, values)
    values = expand_dims(as_value(values, dtype), -1)
    below = emit("Less" if side == "left" else "LessOrEqual", as_value(sorted_sequence, dtype), values)
    return emit("ReduceSum", cast(below, "int32"), integers([values.ndim - 1]), keepdims=0)


RULES = {
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": expanded,
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "pad": pad,
    "tile": tile,
    "repeat": repeat,
    "flip": flip,
    "roll": roll,
    "tril": _triangle(0),
    "triu": _triangle(1),
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "sort": lambda x, axis=-1: _ordered(x, None, axis, False)[0],
    "argsort": lambda x, axis=-1: _ordered(x, None, axis, False)[1],
    "top_k": lambda x, k, sorted=True: _ordered(x, k, -1, True),
    "searchsorted": searchsorted,
}
