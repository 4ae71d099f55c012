"""Rows of the ops on shape, order and selection."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import case, keras_op, row, several


def _reshape(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x, (4, 6)),
        case(x, (-1, 2)),
        case(x, [3, -1]),
        case(draw.normal(1), ()),
        case(draw.normal(0, 3), (3, 0)),
        case(draw.bools(4), (2, 2)),
        case(draw.normal(6), -1),
    ]


def _transpose(draw):
    x = draw.normal(2, 3, 4)
    return [case(x, (2, 0, 1)), case(x), case(x, axes=[0, -1, 1]), case(draw.normal()), case(draw.integers(0, 9, 2, 3))]


def _one_axis(draw):
    x = draw.normal(2, 3)
    return [case(x, 0), case(x, -1), case(x, axis=1), case(x, (0, 3)), case(draw.normal(), 0), case(x, [0, -1])]


def _squeeze(draw):
    x = draw.normal(1, 3, 1, 1)
    return [case(x), case(x, 0), case(x, -1), case(x, (0, 2)), case(x, axis=[0, -1]), case(draw.normal(2, 3))]


def _broadcast(draw):
    return [
        case(draw.normal(3, 1), (2, 3, 4)),
        case(draw.normal(), (2,)),
        case(draw.integers(0, 9, 1), [3]),
        case(draw.normal(1, 3), (0, 3)),
    ]


def _joined(draw):
    return [
        case([draw.normal(2, 3), draw.normal(4, 3)]),
        case([draw.normal(2, 3), draw.normal(2, 1), draw.normal(2, 2)], axis=-1),
        case((draw.normal(2, 3), draw.normal(0, 3)), 0),
        case([draw.integers(0, 9, 2), draw.normal(2)]),
        case([draw.bools(2), draw.integers(0, 9, 2)]),
        case([draw.normal(2, 3)], 1),
    ]


def _stacked(draw):
    x, y = draw.normal(2, 3), draw.normal(2, 3)
    return [
        case([x, y]),
        case([x, y], axis=1),
        case((x, y), -1),
        case([draw.integers(0, 9, 2), draw.normal(2)]),
        case([draw.normal(), draw.normal()]),
    ]


def _split(draw):
    x = draw.normal(6, 4)
    return [case(x, 3), case(x, 2, axis=1), case(x, [1, 4]), case(x, (2,), -1), case(x, 1), case(x, [0, 6])]


def _index(draw):
    x = draw.normal(3, 4, 5)
    full = slice(None)
    return [
        case(x, (1,)),
        case(x, 1),
        case(x, -1),
        case(x, (slice(1, 3), full, slice(None, None, 2))),
        case(x, (slice(None, None, -1), slice(3, 0, -2))),
        case(x, (Ellipsis, 0)),
        case(x, (full, None, 2)),
        case(x, (Ellipsis, slice(-2, None), None)),
        case(x, (full, np.int32([2, 0, 2]))),
        case(x, (np.int32([[0, -1], [2, 1]]),)),
        case(x, (slice(2, 2),)),
        case(draw.normal(3), Ellipsis),
    ]


def _take(draw):
    x = draw.normal(4, 5)
    return [
        case(x, draw.integers(0, 5, 3), axis=1),
        case(x, draw.integers(0, 20, 6)),
        case(x, draw.integers(0, 4, 2, 3), 0),
        case(x, np.int32([-1, 0, -4]), 0),
        case(x, np.asarray(2, "int32"), axis=-1),
        case(x, 3, 0),
        case(x, np.zeros((0,), "int32"), 0),
        case(draw.integers(0, 9, 7), draw.integers(0, 7, 3).astype("int64"), 0).but(dtype="int32"),
    ]


def _take_along(draw):
    x = draw.normal(4, 5)
    return [
        case(x, draw.integers(0, 5, 4, 3), axis=1),
        case(x, draw.integers(0, 4, 2, 5), 0),
        case(x, np.int32([[-1], [0], [2], [-5]]), -1),
        case(x, draw.integers(0, 20, 6)),
    ]


def _pad(draw):
    x = draw.normal(3, 4)
    return [
        case(x, ((1, 2), (0, 3))),
        case(x, 1),
        case(x, (2, 1)),
        case(x, [[0, 1], [2, 0]], "reflect"),
        case(x, ((2, 1), (1, 2)), mode="symmetric"),
        case(x, ((1, 0), (0, 2)), mode="edge"),
        case(x, ((1, 1), (0, 1)), "constant", 2.5),
        case(draw.integers(0, 9, 3), ((1, 1),), constant_values=7),
        case(draw.normal(0, 2), ((1, 0), (0, 0))),
        case(draw.bools(3), ((0, 2),)),
    ]


def _pad_reference(x, pad_width, mode="constant", constant_values=None):
    return np.pad(x, pad_width, mode, **({} if constant_values is None else {"constant_values": constant_values}))


def _tile(draw):
    x = draw.normal(2, 3)
    return [case(x, (2, 1)), case(x, 2), case(x, (2, 1, 3)), case(x, [3]), case(x, (0, 1)), case(draw.normal(), 3)]


def _repeat(draw):
    x = draw.normal(2, 3)
    return [case(x, 2, axis=1), case(x, 3), case(x, 2, -2), case(draw.integers(0, 9, 2), 2, 0)]


def _flip(draw):
    x = draw.normal(2, 3, 4)
    return [case(x, axis=1), case(x), case(x, (0, -1)), case(draw.bools(3), -1)]


def _roll(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x, 1, axis=1),
        case(x, -2, -1),
        case(x, 5),
        case(x, (1, -1), (0, 2)),
        case(x, 2, axis=(1, 2)),
        case(draw.integers(0, 9, 5), 7, 0),
        case(draw.normal(0, 2), 1, 0),
    ]


def _sort(draw):
    x = draw.distinct(3, 4, 2)
    return [
        case(x, axis=1),
        case(x),
        case(x, 0),
        case(draw.integers(0, 4, 5, 6)),
        case(np.float32([np.inf, -np.inf, 0])).but(grad=False),  # infinities have no differences
        case(draw.normal(0)),
    ]


def _top(draw):
    x = draw.distinct(3, 5)
    return [case(x, 2), case(x, 5), case(draw.integers(0, 3, 2, 6), 4), case(draw.distinct(7), k=1)]


def _top_reference(x, k):
    at = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, at, -1), at


def _search(draw):
    steps = np.float32([-1, 0, 0, 1, 2])
    return [
        case(steps, draw.normal(2, 3, scale=2)),
        case(steps, np.float32([0, 1, 5, -3]), "right"),
        case(np.int32([1, 3, 3, 7]), np.int32([3, 0, 9]), side="left"),
        case(steps, np.asarray(0.0, "float32")),
    ]


def _blocks(draw):
    x = draw.normal(4, 5)
    return [
        case(x, (1, 2), (2, 3)),
        case(x, [0, 0], [4, 1]),
        case(x, np.int32([2, 1]), (1, 2)),
        case(x, (np.asarray(1, "int32"), 0), (3, 5)),
        case(draw.integers(0, 9, 6), (5,), (1,)),
    ]


def _block_reference(x, start, shape):
    return x[tuple(slice(int(s), int(s) + n) for s, n in zip(start, shape, strict=True))]


def _updates(draw):
    x = draw.normal(4, 5)
    return [
        case(x, (1, 2), draw.normal(2, 3)),
        case(x, [0, 0], draw.normal(4, 1)),
        case(x, np.int32([2, 1]), draw.normal(1, 2)),
        case(x, (np.asarray(1, "int32"), 0), draw.normal(3, 5)),
        case(draw.integers(0, 9, 6), (5,), draw.integers(0, 9, 1)),
    ]


def _update_reference(x, start, updates):
    out = x.copy()
    out[tuple(slice(int(s), int(s) + n) for s, n in zip(start, updates.shape, strict=True))] = updates
    return out


def _segments(draw):
    ids = np.int32([2, 0, 2, 2, 4, 0])  # repeated, unordered, and 1, 3 and 5 without a row
    return [
        case(draw.normal(6, 3), ids, num_segments=6),
        case(draw.normal(6), ids).but(jit=False, vmap=False),
        case(draw.normal(6, 2, 2), np.sort(ids), 5, True).but(vmap=False),
        case(draw.integers(0, 9, 6), ids, num_segments=5),
        case(draw.normal(0, 2), np.zeros((0,), "int32"), num_segments=3),
    ]


def _segment_reference(data, segment_ids, num_segments=None, sorted=False):
    out = np.zeros((num_segments or int(segment_ids.max()) + 1, *data.shape[1:]), data.dtype)
    np.add.at(out, segment_ids, data)
    return out


def _triangle(draw):
    x = draw.normal(3, 4)
    return [
        case(x),
        case(x, 1),
        case(x, k=-1),
        case(draw.normal(2, 3, 3), 0),
        case(draw.integers(0, 9, 3, 3)),
        case(draw.bools(3, 3)),
        case(np.full((3, 3), -np.inf, "float32")).but(grad=False),
    ]


def _swap(draw):
    x = draw.normal(2, 3, 4)
    return [case(x, 0, 2), case(x, -1, 0), case(x, axis1=1, axis2=1)]


def _move(draw):
    x = draw.normal(2, 3, 4)
    return [case(x, 0, 2), case(x, -1, 0), case(x, (0, 1), (-1, 0)), case(x, source=[2, 0], destination=[0, 1])]


def _unstack(draw):
    x = draw.normal(2, 3, 4)
    return [case(x), case(x, axis=1), case(x, 4, -1), case(draw.integers(0, 9, 3))]


def _unstack_reference(x, num=None, axis=0):
    return [np.squeeze(part, axis) for part in np.split(x, x.shape[axis], axis)]


def _numpy(name):
    """NumPy's function with axes as a list too."""

    def reference(x, axis=None):
        return getattr(np, name)(x, axis=tuple(axis) if isinstance(axis, list) else axis)

    return reference


ROWS = [
    row("reshape", _reshape, np.reshape),
    row("transpose", _transpose, np.transpose),
    row("expand_dims", _one_axis, _numpy("expand_dims")),
    row("squeeze", _squeeze, _numpy("squeeze")),
    row("broadcast_to", _broadcast, np.broadcast_to),
    row("concatenate", _joined, np.concatenate),
    row("stack", _stacked, np.stack),
    row("split", _split, np.split),
    row("getitem", _index, lambda x, index: x[index]),
    row("take", _take, np.take),
    row("take_along_axis", _take_along, lambda x, indices, axis=None: np.take_along_axis(x, indices, axis)),
    row("pad", _pad, _pad_reference),
    row("tile", _tile, np.tile),
    row("repeat", _repeat, np.repeat),
    row("flip", _flip, np.flip),
    row("roll", _roll, np.roll),
    row("sort", _sort, np.sort),
    row("argsort", _sort, lambda x, axis=-1: np.argsort(x, axis, kind="stable"), grad=False),
    row("top_k", _top, _top_reference),
    row("searchsorted", _search, np.searchsorted, grad=False, vmap=False),
    row("slice", _blocks, _block_reference, vmap=False),
    row("slice_update", _updates, _update_reference, vmap=False),
    row("segment_sum", _segments, _segment_reference),
    *several(_triangle, "tril triu", np),
    row("ravel", lambda draw: [case(draw.normal(2, 3)), case(draw.normal()), case(draw.normal(0, 2))], np.ravel),
    row("swapaxes", _swap, keras_op("swapaxes")),
    row("moveaxis", _move, np.moveaxis),
    row("unstack", _unstack, _unstack_reference),
]
