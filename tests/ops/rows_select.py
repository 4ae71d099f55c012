"""Rows of comparison, selection by value, scattering and label encodings."""

from __future__ import annotations

import jax
import numpy as np

from tests.ops.rows import case, keras_op, row, several


def _close(draw):
    x = draw.normal(3, 4)
    odd = np.float32([np.inf, -np.inf, np.nan, 1, np.inf])
    return [
        case(x, x + np.float32([0, 1e-7, 1e-3, 1])),
        case(x, x[0], 0.5, 0.1),
        case(odd, np.float32([np.inf, np.inf, np.nan, np.inf, 1])),
        case(odd, odd, equal_nan=True),
        case(draw.integers(0, 3, 6), draw.integers(0, 3, 6)),
        case(draw.bools(4), draw.bools(4)),
        case(x, 0.5, rtol=1.0),
        case(1e6 * x, 1e6 * x + 1, atol=2.0),
    ]


def _members(draw):
    x = draw.integers(0, 9, 3, 4)
    return [
        case(x, draw.integers(0, 9, 5)),
        case(x, draw.integers(0, 9, 2, 2), invert=True),
        case(x, 3),
        case(np.float32([0, np.nan, -0.0, 2]), np.float32([0, np.nan])),
        case(x, np.zeros(0, "int32")),
        case(draw.bools(4), np.bool_([True])),
        case(x, np.float32([1.5, 2, 3])),
        case(np.int32([1, 5, 7]), np.int32([7, 2]), assume_unique=True),
    ]


def _tops(draw):
    scores = draw.distinct(5, 4)
    return [
        case(draw.integers(0, 4, 5), scores, 2),
        case(draw.integers(0, 4, 5), scores, 1),
        case(np.int32([0, 1]), np.float32([[1, 1, 2], [np.nan, 3, 4]]), 2),
        case(np.int32([0, 1]), np.float32([[np.nan, 1, 2], [np.nan, np.nan, 4]]), 2),
        case(draw.integers(0, 4, 2, 3), draw.distinct(2, 3, 4), k=3),
    ]


def _partitions(draw):
    x = draw.distinct(3, 5)
    return [case(x, 2), case(x, kth=-1), case(x, 1, 0), case(x, 7, axis=None), case(draw.integers(0, 3, 9), 4)]


def _sorted_order(x, kth, axis=-1):
    return np.argsort(x, axis, kind="stable").astype("int32")


def _nonzeros(draw):
    return [
        case(draw.integers(0, 2, 3, 4)),
        case(np.float32([0, -0.0, np.nan, 2])),
        case(draw.bools(2, 3, 2)),
        case(np.zeros(4, "int32")),
        case(draw.normal(0, 3)),
    ]


def _choices(draw):
    a, b = draw.bools(3, 4), draw.bools(4)
    x, y = draw.normal(3, 4), draw.normal(3, 1)
    return [
        case([a, b], [x, y]),
        case([a, b], [x, y], 2.5),
        case((a,), (draw.integers(0, 9, 4),), default=7),
        case([a, b], [draw.integers(0, 9, 4), x]),
        case([a], [x], draw.normal(3, 4)),
        case([a, a, a], [x, x, x]),
    ]


def _places(draw):
    return [
        case(draw.integers(0, 24, 5), (2, 3, 4)),
        case(np.int32([5, -1, 20, -7, 6]), (2, 3)),
        case(draw.integers(0, 6, 2, 2), [6]),
        case(np.uint8([5, 255]), (20, 30)),
        case(draw.integers(0, 6), (2, 3)),
    ]


def _sequences(draw):
    x = draw.normal(2, 9)
    return [
        case(x, 4, 2),
        case(x, 3, 1),
        case(draw.normal(7), sequence_length=3, sequence_stride=5),
        case(draw.integers(0, 9, 2, 2, 6), 2, 2).but(rtol=0),
        case(draw.normal(2), 3, 1),
    ]


def _uniques(draw):
    x, rows = np.int32([3, 1, 2, 1, 3]), np.int32([[1, 2, 0], [1, 2, 0], [0, 5, 1], [1, 0, 7]])
    every = {"return_index": True, "return_inverse": True, "return_counts": True}
    return [
        case(x, size=5, fill_value=9, **every),
        case(x, **every).but(jit=False, vmap=False),
        case(draw.integers(0, 4, 3, 4), return_inverse=True).but(jit=False, vmap=False),
        case(x, size=2, **every),
        case(x, True, return_counts=True, size=4),
        case(rows, axis=0, **every).but(jit=False, vmap=False),
        case(rows, axis=1, size=2, **every),
        case(rows, axis=0, size=5, fill_value=-1),
        case(np.float32([2, -1, 2, 0, -0.0]), sorted=False).but(jit=False, vmap=False),
        case(draw.bools(7), size=3, return_counts=True),
        case(np.zeros(0, "float32")).but(jit=False, vmap=False),
    ]


def _scatters(draw):
    return [
        case(np.int32([[0], [0], [3], [2]]), draw.normal(4), (5,)),
        case(np.int32([[0, 1], [2, 0], [0, 1]]), draw.normal(3), (3, 3)),
        case(np.int32([[1], [-1]]), draw.normal(2, 4), [3, 4]),
        case(np.int32([[[0], [1]], [[2], [1]]]), draw.integers(0, 9, 2, 2), (4,)),
        case(np.zeros((0, 1), "int32"), draw.normal(0, 2), (3, 2)),
        case(np.zeros((3000, 1), "int32"), np.full(3000, 1.001, "float16"), (2,)).but(
            reference=np.float16([3000 * float(np.float16(1.001)), 0]), grad=False, rtol=1e-3
        ),
    ]


def _updates(draw):
    x = draw.distinct(4, 4)
    rows, places = np.int32([[2], [0]]), np.int32([[0, 1], [3, 3], [0, 1]])
    new = draw.distinct(3) + np.float32(0.1)
    small = draw.distinct(3, 4) / 8 + np.float32(0.3)
    twice = np.int32([[1], [1], [-1]])
    return [
        case(x, rows, draw.normal(2, 4)),
        case(x, places, new, "add"),
        case(x, places, new, reduction="max"),
        case(x, twice, small, "min"),
        case(x, twice, small, "mul").but(grad=False),  # JAX has no gradient of products of scattered updates
        case(x, np.int32([[1, 2], [0, 3]]), draw.normal(2)),
        case(draw.integers(0, 9, 5), [[0], [4]], [7, 8]),
        case(draw.integers(0, 9, 5), np.int32([[0], [0]]), np.float32([5.7, 5.7]), "add").but(grad=False),
        case(draw.bools(4), np.int32([[1], [2]]), np.bool_([True, False])),
        case(draw.integers(-9, 9, 3, 2), np.int32([[0], [0], [2]]), draw.integers(-9, 9, 3, 2), "mul"),
        case(np.uint8([1, 2, 3]), np.int32([[0], [0]]), np.uint8([9, 4]), "max"),
    ]


def _plain_update(inputs, indices, updates, reduction=None):
    out, places = inputs.copy(), tuple(np.moveaxis(np.asarray(indices), -1, 0))
    updates = np.asarray(updates).astype(out.dtype)
    if reduction is None:
        out[places] = updates
    else:
        {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[reduction].at(out, places, updates)
    return out


def _segments(draw):
    ids = np.int32([0, 2, 2, 0, 5])
    return [
        case(draw.distinct(5, 3), np.int32([0, 2, 1, 0, 2]), 3),
        case(draw.distinct(5), ids, num_segments=7).but(grad=False),  # the least value where there are no rows
        case(draw.integers(-9, 9, 5), np.sort(ids), 6, True),
        case(draw.distinct(5), ids, 4).but(grad=False),
        case(draw.distinct(5), ids).but(jit=False, vmap=False, grad=False),
        case(draw.distinct(0, 2), np.zeros(0, "int32"), 2),
    ]


def _jax_segments(name):
    """SciPy and NumPy have no such function; JAX's differs from our body, which runs on the others."""

    def reference(data, segment_ids, num_segments=None, sorted=False):
        count = int(segment_ids.max()) + 1 if num_segments is None else num_segments
        return getattr(jax.ops, name)(data, segment_ids, count)

    return reference


def _labels(draw):
    return [
        case(draw.integers(0, 5, 3, 4), 5),
        case(draw.integers(0, 5, 4), num_classes=5),
        case(np.int32([[0, 1], [2, -1], [7, 7]]), 3, dtype="int32"),
        case(draw.integers(0, 5, 3, 4), 5, 0),
        case(draw.integers(0, 5, 3, 4), 5, axis=1),
        case(draw.integers(0, 5, 4), 5, dtype="bool"),
    ]


_EXTREMES = "segment_max segment_min"

ROWS = [
    row("isclose", _close, keras_op("isclose"), grad=False),
    row("allclose", _close, keras_op("allclose"), grad=False),
    row("isin", _members, keras_op("isin"), grad=False),
    row("in_top_k", _tops, keras_op("in_top_k"), grad=False),
    row("argpartition", _partitions, _sorted_order, grad=False),
    # The number of results depends on the data, which JAX neither compiles nor vectorizes.
    row("nonzero", _nonzeros, keras_op("nonzero"), jit=False, vmap=False, grad=False),
    row("select", _choices, np.select),
    row("unravel_index", _places, keras_op("unravel_index"), grad=False),
    row("extract_sequences", _sequences, keras_op("extract_sequences")),
    row("unique", _uniques, keras_op("unique"), grad=False),
    row("scatter", _scatters, keras_op("scatter")),
    row("scatter_update", _updates, _plain_update),
    *several(_segments, _EXTREMES, [_jax_segments(name) for name in _EXTREMES.split()]),
    # JAX has no gradient of products of scattered updates.
    row("segment_prod", _segments, _jax_segments("segment_prod"), grad=False),
    row("multi_hot", _labels, keras_op("multi_hot"), grad=False),
]
