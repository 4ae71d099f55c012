"""Shape, order and indexing on PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from kfun.backends.torch.arrays import cast, same_type, several, widen


def transpose(x, axes=None):
    return x.permute(tuple(axes) if axes is not None else tuple(range(x.ndim - 1, -1, -1)))


def expand_dims(x, axis):
    axes = several(axis)
    for a in sorted(a % (x.ndim + len(axes)) for a in axes):
        x = x.unsqueeze(a)
    return x


def squeeze(x, axis=None):
    if axis is None:
        return x.squeeze()
    if any(x.shape[a] != 1 for a in several(axis)):
        raise ValueError(f"ops.squeeze: expected size 1 at axis {axis}; received shape {tuple(x.shape)}")
    return x.squeeze(several(axis))


def split(x, indices_or_sections, axis=0):
    if not isinstance(indices_or_sections, int):
        return list(torch.tensor_split(x, [int(i) for i in indices_or_sections], axis))
    if indices_or_sections == 0 or x.shape[axis] % indices_or_sections:
        raise ValueError(
            f"ops.split: axis {axis} of shape {tuple(x.shape)} does not divide into {indices_or_sections} equal parts"
        )
    if x.shape[axis] == 0:
        return [x] * indices_or_sections
    return list(torch.split(x, x.shape[axis] // indices_or_sections, axis))


def wrap(indices, size):
    """Indices in int64, the negative ones counted from the end."""
    indices = indices.to(torch.int64)
    return torch.where(indices < 0, indices + size, indices)


_PLAIN = (slice, int, torch.Tensor)  # what PyTorch takes among the indices as it is


def getitem(x, index):
    items = list(index) if isinstance(index, tuple) else [index]
    items = [i if isinstance(i, _PLAIN) or i is None or i is Ellipsis else torch.as_tensor(i) for i in items]
    if not any(isinstance(i, torch.Tensor) or (isinstance(i, slice) and (i.step or 1) < 0) for i in items):
        return x[index]
    taken = sum(i.ndim if _is_mask(i) else 1 for i in items if i is not None and i is not Ellipsis)
    items = _without_ellipsis(items, x.ndim - taken)
    axis, scalar = 0, sum(isinstance(i, torch.Tensor) for i in items) == 1
    for place, item in enumerate(items):
        if isinstance(item, slice) and (item.step or 1) < 0:
            x, items[place] = _forwards(x, item, axis)
        elif isinstance(item, torch.Tensor) and item.ndim == 0 and scalar and not _is_mask(item):
            x, items[place] = x.index_select(axis, wrap(item, x.shape[axis]).reshape(1)), 0
        axis += 0 if item is None else item.ndim if _is_mask(item) else 1
    if any(isinstance(i, torch.Tensor) for i in items):  # beside an array an int is an array, as in NumPy
        items = [torch.tensor(i) if isinstance(i, int) else i for i in items]
    return x[tuple(i.to(torch.int64) if isinstance(i, torch.Tensor) and not _is_mask(i) else i for i in items)]


def _is_mask(item):
    return isinstance(item, torch.Tensor) and item.dtype is torch.bool


def _without_ellipsis(items, missing):
    """Ellipsis as full slices; not by `in`, which would compare tensors."""
    places = [p for p, item in enumerate(items) if item is Ellipsis]
    if not places:
        return items
    return [*items[: places[0]], *[slice(None)] * missing, *items[places[0] + 1 :]]


def _forwards(x, item, axis):
    """PyTorch has no negative steps: the flipped array and the slice that goes up."""
    last = x.shape[axis] - 1
    start, stop, step = item.indices(x.shape[axis])
    return x.flip(axis), slice(last - start, max(last - stop, last - start), -step)


def take(x, indices, axis=None):
    if not isinstance(indices, torch.Tensor):
        indices = torch.tensor(indices, device=x.device)
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = axis % x.ndim
    flat = x.index_select(axis, wrap(indices, x.shape[axis]).reshape(-1))
    return flat.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def take_along_axis(x, indices, axis=None):
    if axis is None:
        x, indices, axis = x.reshape(-1), indices.reshape(-1), 0
    return torch.take_along_dim(x, wrap(indices, x.shape[axis]), axis)


def pad(x, pad_width, mode="constant", constant_values=None):
    pairs = _pairs(pad_width, x.ndim)
    if mode == "constant":
        value = 0 if constant_values is None else constant_values
        return F.pad(x, [n for pair in reversed(pairs) for n in pair], value=value)
    if mode not in _SOURCES:
        raise ValueError(f"ops.pad: expected mode constant, {', '.join(_SOURCES)}; received {mode!r}")
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            n = x.shape[axis]
            source = [_SOURCES[mode](i, n) for i in range(-before, n + after)]
            x = x.index_select(axis, torch.tensor(source, device=x.device))
    return x


def _pairs(pad_width, ndim):
    if isinstance(pad_width, int):
        return [(pad_width, pad_width)] * ndim
    widths = [w if isinstance(w, int) else tuple(w) for w in pad_width]
    if all(isinstance(w, int) for w in widths):  # one pair for all
        return [tuple(widths) if len(widths) == 2 else (widths[0], widths[0])] * ndim
    pairs = [w if len(w) == 2 else (w[0], w[0]) for w in widths]
    return pairs * ndim if len(pairs) == 1 else pairs


def _reflected(i, n):
    if n == 1:
        return 0
    i = i % (2 * n - 2)
    return min(i, 2 * n - 2 - i)


def _mirrored(i, n):
    i = i % (2 * n)
    return min(i, 2 * n - 1 - i)


_SOURCES = {"reflect": _reflected, "symmetric": _mirrored, "edge": lambda i, n: min(max(i, 0), n - 1)}


def repeat(x, repeats, axis=None):
    repeats = repeats if isinstance(repeats, (int, torch.Tensor)) else torch.tensor(repeats, device=x.device)
    return torch.repeat_interleave(x, repeats, axis)


def flip(x, axis=None):
    return x.flip(tuple(range(x.ndim)) if axis is None else several(axis))


def roll(x, shift, axis=None):
    each = isinstance(shift, int) and axis is not None and not isinstance(axis, int)
    return torch.roll(x, (shift,) * len(axis) if each else shift, axis)


def sort(x, axis=-1):
    if axis is None:
        x, axis = x.reshape(-1), 0
    return torch.sort(x, axis).values


def argsort(x, axis=-1):
    if axis is None:
        x, axis = x.reshape(-1), 0
    return torch.sort(x, stable=True, dim=axis).indices.to(torch.int32)


def top_k(x, k, sorted=True):
    values, indices = torch.sort(x, stable=True, dim=-1, descending=True)
    return values[..., :k], indices[..., :k].to(torch.int32)


def searchsorted(sorted_sequence, values, side="left"):
    sequence, values = same_type(sorted_sequence, values)
    return torch.searchsorted(
        widen(sequence).contiguous(), widen(values).contiguous(), right=side == "right", out_int32=True
    )


def slice_(inputs, start_indices, shape):
    for axis, (start, size) in enumerate(zip(start_indices, shape, strict=True)):
        if isinstance(start, torch.Tensor):
            inputs = inputs.index_select(axis, _block(start, size, inputs.shape[axis]))
        else:
            inputs = inputs.narrow(axis, _clamped(start, size, inputs.shape[axis]), size)
    return inputs


def _clamped(start, size, whole):
    start = int(start) + whole if start < 0 else int(start)
    return min(max(start, 0), whole - size)


def _block(start, size, whole):
    start = wrap(start.reshape(()), whole).clamp(0, whole - size)
    return start + torch.arange(size, device=start.device)


def slice_update(inputs, start_indices, updates):
    updates = cast(updates, inputs.dtype)
    if not any(isinstance(s, torch.Tensor) for s in start_indices):
        return _scatter_block(inputs, start_indices, updates, 0)
    places = []
    for axis, start in enumerate(start_indices):
        size, whole = updates.shape[axis], inputs.shape[axis]
        block = _block(torch.as_tensor(start, device=inputs.device), size, whole)
        places.append(block.reshape(-1, *(1,) * (inputs.ndim - axis - 1)))
    return inputs.index_put(tuple(places), updates)


def _scatter_block(x, starts, updates, axis):
    """Nested per axis, without writing in place, which transformed tensors do not allow."""
    if axis == x.ndim:
        return updates
    size = updates.shape[axis]
    start = _clamped(starts[axis], size, x.shape[axis])
    block = _scatter_block(x.narrow(axis, start, size), starts, updates, axis + 1)
    return x.slice_scatter(block, axis, start, start + size)


def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    if num_segments is None:
        num_segments = int(segment_ids.max()) + 1
    ids = segment_ids.to(torch.int64)
    ids = torch.where((ids < 0) | (ids >= num_segments), num_segments, ids)  # one more row takes those out of range
    out = torch.zeros((num_segments + 1, *data.shape[1:]), dtype=data.dtype, device=data.device)
    return out.index_add(0, ids, data)[:num_segments]


def _triangle(f):
    def rule(x, k=0):
        wide = widen(x)
        return f(wide, k).to(x.dtype)

    return rule


def concatenate(xs, axis=0):
    if axis is None:
        xs, axis = [x.reshape(-1) for x in xs], 0
    dtype = xs[0].dtype  # floats with anything are promoted by torch itself as the lattice has it
    if not dtype.is_floating_point and any(x.dtype is not dtype for x in xs):
        xs = same_type(*xs)
    return torch.cat(xs, axis)


RULES = {
    "reshape": lambda x, newshape: torch.reshape(x, newshape if type(newshape) is tuple else several(newshape)),
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": lambda x, shape: x.broadcast_to(several(shape)),
    "concatenate": concatenate,
    "stack": lambda x, axis=0: torch.stack(same_type(*x), axis),
    "split": split,
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "pad": pad,
    "tile": lambda x, repeats: x.tile(several(repeats)),
    "repeat": repeat,
    "flip": flip,
    "roll": roll,
    "moveaxis": torch.movedim,
    "swapaxes": lambda x, axis1, axis2: x.transpose(axis1, axis2),
    "sort": sort,
    "argsort": argsort,
    "top_k": top_k,
    "searchsorted": searchsorted,
    "slice": slice_,
    "slice_update": slice_update,
    "segment_sum": segment_sum,
    "tril": _triangle(torch.tril),
    "triu": _triangle(torch.triu),
}
