"""Rows of stacks, parts, diagonals, grids, ranges and windows."""

from __future__ import annotations

import numpy as np

from kfun import ops
from tests.ops.rows import case, row, several


def _appended(draw):
    return [
        case(draw.normal(2, 3), draw.normal(4, 3), axis=0),
        case(draw.normal(2, 3), draw.normal(2)),
        case(draw.integers(0, 9, 2), draw.normal(2), 0),
        case(draw.normal(2, 3), draw.normal(2, 0), -1),
    ]


def _stacks(draw):
    return [
        case([draw.normal(2, 3, 2), draw.normal(2, 3, 2)]),
        case([draw.normal(3), draw.normal(3)]),
        case([draw.normal(), draw.normal()]),
        case((draw.normal(2, 3), draw.normal(2, 3), draw.normal(2, 3))),
        case([draw.integers(0, 9, 3), draw.normal(3)]),
    ]


def _unequal(draw):
    x = draw.normal(7, 4)
    return [
        case(x, 3),
        case(x, 2, axis=1),
        case(x, [1, 4]),
        case(x, 9, 0),
        case(x, (2,), -1),
        case(draw.integers(0, 9, 5), 2),
    ]


def _parts(draw):
    x = draw.normal(4, 4, 2)
    return [case(x, 2), case(x, [1]), case(x, indices_or_sections=(0, 1)), case(x, 1)]


def _horizontal(draw):
    return [*_parts(draw), case(draw.normal(6), 3)]


def _flips(draw):
    return [case(draw.normal(2, 3, 4)), case(draw.integers(0, 9, 2, 2)), case(draw.normal(0, 3))]


def _turns(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x),
        case(x, 2),
        case(x, k=-1),
        case(x, 3, (1, 2)),
        case(x, 1, axes=(2, 0)),
        case(x, 4),
        case(x, 1, (-1, 0)),
    ]


def _diagonals(draw):
    x = draw.normal(3, 4, 3)
    return [
        case(x),
        case(draw.normal(4, 3), 1),
        case(draw.normal(3, 5), offset=-2),
        case(x, 1, 0, 2),
        case(x, 0, axis1=-1, axis2=1),
        case(draw.integers(0, 9, 3, 3)),
        case(draw.bools(2, 2)),
    ]


def _outside(draw):
    return [case(draw.normal(3, 4), 4), case(draw.normal(3, 4), -5), case(draw.normal(0, 3))]  # no element is left


def _matrices(draw):
    return [
        case(draw.normal(4)),
        case(draw.normal(3), 2),
        case(draw.normal(3), k=-1),
        case(draw.normal(3, 4)),
        case(draw.normal(3, 4), -1),
        case(draw.integers(0, 9, 3)),
        case(draw.bools(3)),
        case(np.float32([np.inf, np.nan])).but(grad=False),
        case(draw.normal(0)),
    ]


def _flat_diagonals(draw):
    return [case(draw.normal(2, 2)), case(draw.normal(3), 1), case(draw.normal(), -1)]


def _grids(draw):
    x, y, z = draw.normal(3), draw.normal(2), draw.integers(0, 9, 4)
    return [
        case([x, y]),
        case([x, y], indexing="ij"),
        case([x, y, z]),
        case([z]),
        case([x, y, z], "ij"),
        case([x, draw.normal()]),
    ]


def _powers(draw):
    return [
        case(draw.normal(4)),
        case(draw.normal(3), 5),
        case(draw.integers(-3, 4, 3), N=3, increasing=True),
        case(np.float32([0, 2]), 1),
        case(np.float32([0, 2]), 3),
        case(draw.normal(2), 0),
    ]


def _lower(draw):
    return [case(3), case(2, 4), case(3, k=1), case(3, 3, -1, "int32"), case(2, dtype="bool"), case(0)]


def _alike(draw):
    return [case(draw.normal(2, 3)), case(draw.integers(0, 9, 3)), case(draw.normal(2), "int32")]


def _spaced(draw):
    return [
        case(draw.normal(3), draw.normal(2, 3), 5),
        case(draw.normal(3), 2.0, num=4, axis=-1),
        case(draw.normal(2), draw.normal(2), 5, endpoint=False),
        case(0, 1),
        case(-2.5, 7, 6, False),
        case(0, 10, 11, dtype="int32"),
        case(np.float32([0, 3]), np.float32([10, 13]), 11, dtype="int32"),
        case(draw.normal(2), draw.normal(2), 4, True, True),
        case(1.0, 2.0, 5, retstep=True).but(dtype="float32"),
        case(draw.normal(2), draw.normal(2), 1),
        case(3, 4, 0),
        case(draw.integers(0, 9, 2), 4, 3),
        case(1e30, -1e30, 3),
    ]


def _powers_apart(draw):
    return [
        case(draw.normal(3), draw.normal(3), 5),
        case(draw.normal(2), 2.0, num=4, base=2.0, axis=1),
        case(0, 3, 4),
        case(0, 3, 4, False, 2, "int32"),
    ]


def _factors_apart(draw):
    return [
        case(draw.uniform(1, 2, 3), draw.uniform(5, 9, 3), 5),
        case(np.float32([-1, -8]), np.float32([-1000, -1]), num=4, axis=1),
        case(1, 1000, 4),
        case(1, 256, 9, dtype="int32"),
        case(2.0, 32.0, 4, endpoint=False),
    ]


def _sizes(draw):
    return [case(5), case(1), case(0), case(x=8)]


def _beta_sizes(draw):
    return [case(5, 14.0), case(8, beta=0.0), case(1, 2), case(0, 2.0)]


def _window(f):
    return lambda *args, **kwargs: f(*args, **{"M" if k == "x" else k: v for k, v in kwargs.items()}).astype("float32")


def _grid_reference(x, indexing="xy"):
    return np.meshgrid(*x, indexing=indexing)


# Without an array there is nothing to vectorize or differentiate; the harness sees that by itself.
ROWS = [
    row("append", _appended, np.append),
    *several(_stacks, "hstack vstack dstack", np),
    row("array_split", _unequal, np.array_split),
    *several(_parts, "vsplit dsplit", np),
    row("hsplit", _horizontal, np.hsplit),
    *several(_flips, "fliplr flipud", np),
    row("rot90", _turns, np.rot90),
    row("diagonal", lambda draw: [*_diagonals(draw), *_outside(draw)], np.diagonal),
    row("trace", lambda draw: [*_diagonals(draw), *_outside(draw)], np.trace),
    row("diag", _matrices, np.diag),
    row("diagflat", _flat_diagonals, np.diagflat),
    row("meshgrid", _grids, _grid_reference, op=lambda x, indexing="xy": ops.meshgrid(*x, indexing=indexing)),
    row("vander", _powers, np.vander),
    row("tri", _lower, lambda N, M=None, k=0, dtype=None: np.tri(N, M, k, dtype or "float32")),
    row(
        "identity",
        lambda draw: [case(3), case(2, "int32"), case(0)],
        lambda n, dtype=None: np.eye(n, dtype=dtype or "float32"),
    ),
    row(
        "empty",
        lambda draw: [case((2, 3)), case([2], "int32"), case(())],
        lambda s, d=None: np.zeros(s, d or "float32"),
    ),
    row("empty_like", _alike, lambda x, dtype=None: np.zeros_like(x, dtype)),
    row(
        "copy",
        lambda draw: [case(draw.normal(2, 3)), case(draw.integers(0, 9, 3)), case([1.0, 2.0]).but(dtype="float32")],
        np.copy,
    ),
    row("linspace", _spaced, np.linspace),
    row("logspace", _powers_apart, np.logspace),
    row("geomspace", _factors_apart, np.geomspace),
    *[row(name, _sizes, _window(getattr(np, name))) for name in ("bartlett", "blackman", "hamming", "hanning")],
    row("kaiser", _beta_sizes, _window(np.kaiser)),
]
