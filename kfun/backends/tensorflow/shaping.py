"""Shape, order and indexing on TensorFlow, with sizes that may be known only at run time."""

from __future__ import annotations

import itertools

import tensorflow as tf

from kfun.backends.tensorflow.arrays import cast_to, common, promoting, rank, size, sizes, to_shape, wide
from kfun.backends.tensorflow.ordering import along_last, ascending, order, picked


def argsort(x, axis=-1):
    x = tf.convert_to_tensor(x)
    return along_last(ascending, x, axis)


def sort(x, axis=-1):
    return along_last(lambda v: picked(v, ascending(v)), tf.convert_to_tensor(x), axis)


def top_k(x, k, sorted=True):
    indices = tf.math.top_k(order(x), k, sorted).indices
    return picked(tf.convert_to_tensor(x), indices), indices


def searchsorted(sorted_sequence, values, side="left"):
    def search(sequence, values):
        keys, wanted = order(sequence), order(values)
        found = tf.searchsorted(keys, tf.reshape(wanted, (-1,)), side, tf.int32)
        return tf.reshape(found, tf.shape(values))

    return promoting(search)(sorted_sequence, values)


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Ids out of range are dropped; `sorted` ids need no other kernel."""
    ids = tf.cast(segment_ids, tf.int32) if segment_ids.dtype != tf.int64 else tf.convert_to_tensor(segment_ids)
    if num_segments is None:
        num_segments = tf.reduce_max(ids) + 1
    count = tf.cast(num_segments, ids.dtype)
    ids = tf.where(ids < count, ids, -tf.ones_like(ids))
    if data.dtype == tf.bool:
        return tf.math.unsorted_segment_sum(tf.cast(data, tf.int32), ids, num_segments) > 0
    return wide(tf.math.unsorted_segment_sum)(data, ids, num_segments)


def _each(axis, x):
    """Axes as a list of non-negative ints; None for all."""
    n = rank(x)
    return list(range(n)) if axis is None else [a % n for a in ([axis] if isinstance(axis, int) else axis)]


def transpose(x, axes=None):
    return tf.transpose(x, None if axes is None else _each(axes, x))


def expand_dims(x, axis):
    if isinstance(axis, int):
        return tf.expand_dims(x, axis)
    n = rank(x) + len(axis)
    inserted = {a % n for a in axis}
    kept = iter(sizes(x))
    return tf.reshape(x, to_shape([1 if i in inserted else next(kept) for i in range(n)]))


def squeeze(x, axis=None):
    """With `axis=None`, removes the axes that are known to have size 1."""
    axes = [i for i, d in enumerate(x.shape.as_list()) if d == 1] if axis is None else _each(axis, x)
    # An empty list would stand for all axes of size 1.
    return tf.squeeze(x, axes) if axes else tf.convert_to_tensor(x)


def concatenate(xs, axis=0):
    return tf.concat(common(tf.unstack(xs) if isinstance(xs, tf.Tensor) else xs), axis)


def stack(x, axis=0):
    return tf.stack(common(tf.unstack(x) if isinstance(x, tf.Tensor) else x), axis)


def split(x, indices_or_sections, axis=0):
    axis %= rank(x)
    known = x.shape[axis]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        if n < 1 or (known is not None and known % n):
            raise ValueError(f"ops.split: axis {axis} of shape {x.shape} does not divide into {n} equal parts")
        return tf.split(x, n, axis)
    if not len(indices_or_sections):
        return [x]
    cuts = [0, *indices_or_sections]
    plain = all(isinstance(c, int) for c in cuts) and cuts == sorted(cuts)
    if plain and (known is None or cuts[-1] <= known):
        widths = [b - a for a, b in itertools.pairwise(cuts)]
        return tf.split(x, [*widths, -1], axis)
    before = (slice(None),) * axis
    return [x[(*before, slice(a, b))] for a, b in zip(cuts, [*cuts[1:], None], strict=True)]


def _within(indices, n):
    """Indices with negative ones counted from the end, limited to the axis."""
    indices = tf.cast(indices, tf.int64 if indices.dtype in (tf.int64, tf.uint32, tf.uint64) else tf.int32)
    n = tf.cast(n, indices.dtype)
    return tf.clip_by_value(tf.where(indices < 0, indices + n, indices), 0, n - 1)


def _integers(indices, op):
    if not indices.dtype.is_integer:
        raise TypeError(f"ops.{op}: expected integer indices; received dtype {indices.dtype.name}: cast them first")
    return indices


def take(x, indices, axis=None):
    if axis is None:
        x, axis = tf.reshape(x, (-1,)), 0
    indices = _integers(tf.convert_to_tensor(indices), "take")
    return tf.gather(x, _within(indices, size(x, axis)), axis=axis)


def take_along_axis(x, indices, axis=None):
    indices = _integers(indices, "take_along_axis")
    if axis is None:
        x, indices, axis = tf.reshape(x, (-1,)), tf.reshape(indices, (-1,)), 0
    n, axis = rank(x), axis % rank(x)
    if rank(indices) != n:
        raise ValueError(f"ops.take_along_axis: expected indices of rank {n}; received shape {indices.shape}")
    x, indices = _matched(x, indices, axis)
    swapped = list(range(n))
    swapped[axis], swapped[-1] = swapped[-1], swapped[axis]
    index = _within(tf.transpose(indices, swapped), size(x, axis))
    return tf.transpose(tf.gather(tf.transpose(x, swapped), index, axis=-1, batch_dims=n - 1), swapped)


def _matched(x, indices, axis):
    """Both broadcast to each other in all axes but one."""
    pairs = [(a, b) for i, (a, b) in enumerate(zip(sizes(x), sizes(indices), strict=True)) if i != axis]
    if not any(_is_one(a) != _is_one(b) for a, b in pairs):
        return x, indices
    shared = [b if _is_one(a) else a for a, b in pairs]
    x_shape, index_shape = list(shared), list(shared)
    x_shape.insert(axis, size(x, axis))
    index_shape.insert(axis, size(indices, axis))
    return tf.broadcast_to(x, to_shape(x_shape)), tf.broadcast_to(indices, to_shape(index_shape))


def _is_one(size):
    return isinstance(size, int) and size == 1


def getitem(x, index):
    index = index if isinstance(index, tuple) else (index,)
    arrays = [i for i, e in enumerate(index) if _is_index_array(e)]
    if not arrays:
        return x[index] if isinstance(x, tf.Tensor) else tf.convert_to_tensor(x)[index]
    chosen = tf.convert_to_tensor(index[arrays[0]])
    if len(arrays) > 1 or chosen.dtype == tf.bool:
        raise IndexError(
            f"ops.getitem: expected ints, slices, None, Ellipsis and one integer array at most; received {index!r}. "
            "Use ops.take, ops.take_along_axis or ops.where."
        )
    return _with_array(x, index, arrays[0], chosen)


def _is_index_array(element):
    return isinstance(element, list) or (hasattr(element, "dtype") and len(element.shape) > 0)


def _with_array(x, index, at, chosen):
    """Basic indexing first, then a gather along the axis of the array."""
    consumed = sum(e is not None and e is not Ellipsis for e in index)
    gap = next((i for i, e in enumerate(index) if e is Ellipsis), None)
    if gap is not None:
        full = (slice(None),) * (rank(x) - consumed)
        index = (*index[:gap], *full, *index[gap + 1 :])
        at += len(full) - 1 if gap < at else 0
    single = [_is_single(e) for e in index]
    basic = tf.convert_to_tensor(x)[(*index[:at], slice(None), *index[at + 1 :])]
    axis = at - sum(single[:at])
    out = tf.gather(basic, _within(_integers(chosen, "getitem"), size(basic, axis)), axis=axis)
    advanced = [i for i, s in enumerate(single) if s or i == at]
    if advanced == list(range(advanced[0], advanced[-1] + 1)):
        return out
    # As in NumPy: index arrays and ints that are apart put the indexed axes first.
    moved = range(axis, axis + rank(chosen))
    return tf.transpose(out, [*moved, *(a for a in range(rank(out)) if a not in moved)])


def _is_single(element):
    return element is not None and not isinstance(element, slice) and not _is_index_array(element)


def pad(x, pad_width, mode="constant", constant_values=None):
    pairs = _pairs(pad_width, rank(x))
    if mode == "constant":
        padded = tf.pad(x, _paddings(pairs))
        if constant_values is None or (isinstance(constant_values, (int, float)) and constant_values == 0):
            return padded
        # By a mask, because tf.vectorized_map loses the constant of tf.pad.
        inside = tf.pad(tf.ones(to_shape(sizes(x)), tf.bool), _paddings(pairs))
        return tf.where(inside, padded, cast_to(constant_values, x.dtype))
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(f"ops.pad: expected mode constant, reflect, symmetric or edge; received {mode!r}")
    room = 1 if mode == "reflect" else 0
    small = all(
        isinstance(p, int) and d is not None and p <= d - room
        for pair, d in zip(pairs, x.shape, strict=True)
        for p in pair
    )
    if small and mode != "edge":
        return tf.pad(x, _paddings(pairs), mode.upper())
    for axis, (before, after) in enumerate(pairs):
        if not (isinstance(before, int) and isinstance(after, int) and before == after == 0):
            x = tf.gather(x, _reflected(size(x, axis), before, after, mode), axis=axis)
    return x


def _pairs(pad_width, n):
    if isinstance(pad_width, (int, tf.Tensor)):
        return [(pad_width, pad_width)] * n
    pairs = [p if isinstance(p, (tuple, list)) else (p, p) for p in pad_width]
    if len(pairs) == 2 and not any(isinstance(p, (tuple, list)) for p in pad_width):
        return [tuple(pad_width)] * n
    return pairs * n if len(pairs) == 1 else pairs


def _paddings(pairs):
    return tf.stack([to_shape(p) for p in pairs]) if pairs else tf.zeros((0, 2), tf.int32)


def _reflected(n, before, after, mode):
    """The source index of each place along a padded axis of size `n`."""
    place = tf.range(-before, n + after)
    if mode == "edge":
        return tf.clip_by_value(place, 0, n - 1)
    if mode == "symmetric":
        place = tf.math.floormod(place, 2 * n)
        return tf.where(place < n, place, 2 * n - 1 - place)
    period = tf.maximum(2 * (n - 1), 1)
    place = tf.math.floormod(place, period)
    return tf.where(place < n, place, period - place)


def tile(x, repeats):
    repeats = [repeats] if isinstance(repeats, (int, tf.Tensor)) else list(repeats)
    extra = len(repeats) - rank(x)
    if extra > 0:
        x = tf.reshape(x, to_shape((1,) * extra + sizes(x)))
    multiples = to_shape([1] * -extra + repeats)
    if x.dtype == tf.uint16:  # no kernel
        return tf.cast(tf.tile(tf.cast(x, tf.int32), multiples), tf.uint16)
    return tf.tile(x, multiples)


def roll(x, shift, axis=None):
    if axis is None:
        return tf.reshape(tf.roll(tf.reshape(x, (-1,)), shift, 0), tf.shape(x))
    axes = _each(axis, x)
    return tf.roll(x, [shift] * len(axes) if isinstance(shift, int) else shift, axes)


def slice_(inputs, start_indices, shape):
    starts = _starts(inputs, start_indices, shape)
    return tf.slice(inputs, to_shape(starts), to_shape(shape))


def _starts(x, starts, shape):
    """Where a block of `shape` begins, moved so that it lies inside `x`."""
    starts = tf.unstack(starts) if isinstance(starts, tf.Tensor) else list(starts)
    found = []
    for start, whole, part in zip(starts, sizes(x), shape, strict=True):
        if all(isinstance(v, int) for v in (start, whole, part)):
            found.append(max(min(start + whole if start < 0 else start, whole - part), 0))
        else:
            start = tf.cast(start, tf.int32)
            start = tf.where(start < 0, start + whole, start)
            found.append(tf.clip_by_value(start, 0, whole - part))
    return found


def slice_update(inputs, start_indices, updates):
    updates = cast_to(updates, inputs.dtype)
    starts = _starts(inputs, start_indices, sizes(updates))
    n, inside = rank(inputs), None
    for axis, (start, whole, part) in enumerate(zip(starts, sizes(inputs), sizes(updates), strict=True)):
        if isinstance(whole, int) and isinstance(part, int) and whole == part:
            continue
        # Gathers and not paddings: XLA takes no paddings that are known only at run time.
        place = tf.range(whole) - start
        updates = tf.gather(updates, tf.clip_by_value(place, 0, part - 1), axis=axis)
        here = tf.reshape((place >= 0) & (place < part), [-1] + [1] * (n - 1 - axis))
        inside = here if inside is None else inside & here
    return tf.convert_to_tensor(updates) if inside is None else tf.where(inside, updates, inputs)


def _triangle(keep):
    def rule(x, k=0):
        rows, columns = tf.range(size(x, -2)), tf.range(size(x, -1))
        return tf.where(keep(columns - rows[:, None], k), x, tf.zeros((), x.dtype))

    return rule


RULES = {
    "sort": sort,
    "argsort": argsort,
    "top_k": top_k,
    "searchsorted": searchsorted,
    "segment_sum": segment_sum,
    "reshape": lambda x, newshape: tf.reshape(x, to_shape(newshape)),
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": lambda x, shape: tf.broadcast_to(x, to_shape(shape)),
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "pad": pad,
    "tile": tile,
    "repeat": lambda x, repeats, axis=None: tf.repeat(x, repeats, axis),
    "flip": lambda x, axis=None: tf.reverse(x, _each(axis, x)),
    "roll": roll,
    "slice": slice_,
    "slice_update": slice_update,
    "tril": _triangle(lambda offset, k: offset <= k),
    "triu": _triangle(lambda offset, k: offset >= k),
}
