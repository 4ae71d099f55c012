"""Shape, order and indexing on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.common.axes import settled
from kfun.backends.numpy.arrays import HALF, same_type


def squeeze(x, axis=None):
    return np.squeeze(x, settled(axis))


def split(x, indices_or_sections, axis=0):
    equal = isinstance(indices_or_sections, int)
    if equal and (indices_or_sections == 0 or x.shape[axis] % indices_or_sections):
        raise ValueError(
            f"ops.split: axis {axis} of shape {x.shape} does not divide into {indices_or_sections} equal parts"
        )
    return [np.asarray(part) for part in np.split(x, indices_or_sections, axis)]


def take_along_axis(x, indices, axis=None):
    if axis is None:
        x, indices, axis = x.reshape(-1), indices.reshape(-1), 0
    return np.take_along_axis(x, indices, axis)


def pad(x, pad_width, mode="constant", constant_values=None):
    if mode == "constant":
        return np.pad(x, pad_width, mode, constant_values=0 if constant_values is None else constant_values)
    return np.pad(x, pad_width, mode)


def top_k(x, k, sorted=True):
    order = np.argsort(np.flip(x, -1), -1, kind="stable")  # from behind, so that ties keep their order below
    indices = x.shape[-1] - 1 - np.flip(order, -1)[..., :k]
    return np.take_along_axis(x, indices, -1), indices.astype(np.int32)


def searchsorted(sorted_sequence, values, side="left"):
    return np.asarray(np.searchsorted(*same_type(sorted_sequence, values), side)).astype(np.int32)


def _block(x, start_indices, shape):
    """The slices of a block, moved so that it lies inside `x`."""
    starts = [int(s) + (n if s < 0 else 0) for s, n in zip(start_indices, x.shape, strict=True)]
    starts = [min(max(s, 0), n - size) for s, n, size in zip(starts, x.shape, shape, strict=True)]
    return tuple(np.s_[s : s + size] for s, size in zip(starts, shape, strict=True))


def slice_update(inputs, start_indices, updates):
    out = inputs.copy()
    out[_block(inputs, start_indices, updates.shape)] = updates
    return out


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    if num_segments is None:
        num_segments = int(segment_ids.max()) + 1
    inside = (segment_ids >= 0) & (segment_ids < num_segments)
    out = np.zeros((num_segments, *data.shape[1:]), np.float32 if data.dtype in HALF else data.dtype)
    np.add.at(out, segment_ids[inside], data[inside].astype(out.dtype))
    return out.astype(data.dtype)


def getitem(x, index):
    return np.asarray(x[tuple(index) if isinstance(index, list) else index])


RULES = {
    "reshape": np.reshape,
    "transpose": lambda x, axes=None: np.transpose(x, axes),
    "expand_dims": lambda x, axis: np.expand_dims(x, settled(axis)),
    "squeeze": squeeze,
    "broadcast_to": np.broadcast_to,
    "concatenate": lambda xs, axis=0: np.concatenate(same_type(*xs), axis),
    "stack": lambda x, axis=0: np.stack(same_type(*x), axis),
    "split": split,
    "getitem": getitem,
    "take": lambda x, indices, axis=None: np.asarray(np.take(x, indices, axis)),
    "take_along_axis": take_along_axis,
    "pad": pad,
    "tile": np.tile,
    "repeat": lambda x, repeats, axis=None: np.repeat(x, repeats, axis),
    "flip": lambda x, axis=None: np.flip(x, settled(axis)),
    "roll": lambda x, shift, axis=None: np.roll(x, shift, settled(axis)),
    "sort": lambda x, axis=-1: np.sort(x, axis),
    "argsort": lambda x, axis=-1: np.argsort(x, axis, kind="stable").astype(np.int32),
    "top_k": top_k,
    "searchsorted": searchsorted,
    "slice": lambda inputs, start_indices, shape: inputs[_block(inputs, start_indices, shape)],
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "tril": lambda x, k=0: np.tril(x, k),
    "triu": lambda x, k=0: np.triu(x, k),
}
