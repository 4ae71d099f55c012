"""Rows of the reductions."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.ops.rows import case, row, several


def _axes(x):
    """The ways to name axes of a 3-d array."""
    return [
        case(x, axis=1),
        case(x),
        case(x, -1, True),
        case(x, (0, 2)),
        case(x, axis=[-1, 0], keepdims=True),
        case(x, keepdims=True),
    ]


def _sums(draw):
    half = draw.uniform(0.5, 1.5, 3000).astype("float16")
    return [
        *_axes(draw.normal(2, 3, 4)),
        case(draw.normal()),
        case(draw.normal(0, 3), 0),
        case(draw.integers(-5, 6, 3, 4), 0),
        case(draw.bools(3, 4), 1),
        case(draw.normal(2, 3), axis=()),
        case(half).but(reference=lambda x: np.float16(x.astype("float32").sum()), grad=False),
    ]


def _means(draw):
    half = draw.uniform(0.5, 1.5, 3000).astype("float16")
    return [
        *_axes(draw.normal(2, 3, 4)),
        case(draw.normal()),
        case(draw.integers(-5, 6, 3, 4), 0),
        case(draw.bools(3, 4), 1),
        case(half).but(reference=lambda x: np.float16(x.astype("float32").mean()), grad=False, rtol=1e-3),
    ]


def _spreads(draw):
    return [*_axes(draw.normal(2, 3, 4)), case(draw.integers(-5, 6, 3, 4), 0), case(1e4 + draw.normal(50))]


def _extremes(draw):
    return [
        *_axes(draw.distinct(2, 3, 4)),
        case(draw.normal()),
        case(draw.integers(-5, 6, 3, 4), 0),
        case(np.float32([[1, np.nan], [-np.inf, np.inf]]), 1).but(grad=False),
        case(draw.normal(0, 3), 1),
        case(draw.distinct(2, 3), 1, initial=0.6),
        case(draw.normal(2, 0), 1, initial=-1.5).but(grad=False),  # there is nothing to differentiate
    ]


def _products(draw):
    return [*_axes(draw.uniform(0.5, 2, 2, 3, 4)), case(draw.integers(-3, 4, 3, 4), 0), case(draw.normal(0, 3), 0)]


def _truths(draw):
    return [
        *_axes(draw.bools(2, 3, 4)),
        case(draw.integers(0, 2, 3, 4), 0),
        case(draw.normal(0, 3), 0),
        case(np.float32([0, np.nan])),
    ]


def _positions(draw):
    x = draw.distinct(3, 4, 2)
    ties = draw.integers(0, 3, 5, 6)
    return [
        case(x, axis=1),
        case(x),
        case(x, -1, True),
        case(x, keepdims=True),
        case(ties, 0),
        case(ties, 1),
        case(ties.astype("float32"), axis=-2),
        case(np.float32([1, np.nan, 3])),
    ]


def _running(draw):
    x = draw.normal(2, 3, 4)
    return [
        case(x, axis=1),
        case(x),
        case(x, -1),
        case(draw.integers(-5, 6, 3, 4), 0),
        case(draw.bools(7), 0),
        case(draw.integers(-5, 6, 3), 0, "float32"),
        case(draw.normal(0, 3), 1),
    ]


def _log_sums(draw):
    x = draw.normal(2, 3, 4)
    rows = np.float32([[1000, 999], [-np.inf, -np.inf], [-1000, -1001], [np.inf, 0]])
    return [*_axes(x), case(rows, 1).but(grad=False), case(draw.normal())]


def _counts(draw):
    return [
        case(draw.integers(0, 2, 2, 3, 4), axis=1),
        case(draw.integers(0, 2, 2, 3, 4)),
        case(draw.bools(3, 4), (0, -1)),
        case(np.float32([0, -0.0, np.nan, 2])),
    ]


def _log_sum_exp(x, axis=None, keepdims=False):
    with np.errstate(all="ignore"):
        axis = tuple(axis) if isinstance(axis, list) else axis
        return np.asarray(scipy.special.logsumexp(x, axis=axis, keepdims=keepdims), x.dtype)


def _listed(f):
    """NumPy's reduction `f` with axes as a list too."""

    def reference(x, axis=None, keepdims=False, **more):
        return f(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims, **more)

    return reference


def _in_float64(f):
    def reference(x, axis, keepdims):
        return f(x, axis=axis, dtype="float64", keepdims=keepdims)

    return reference


ROWS = [
    row("sum", _sums, _listed(np.sum)),
    row("mean", _means, _listed(np.mean)),
    *several(_products, "prod", [_listed(np.prod)]),
    *several(_extremes, "max min", [_listed(np.max), _listed(np.min)]),
    *several(_truths, "any all", [_listed(np.any), _listed(np.all)], grad=False),
    *several(_positions, "argmax argmin", [_listed(np.argmax), _listed(np.argmin)], grad=False),
    row("cumsum", _running, np.cumsum),
    *several(_spreads, "var std", [_listed(_in_float64(np.var)), _listed(_in_float64(np.std))]),
    row("logsumexp", _log_sums, _log_sum_exp),
    row("count_nonzero", _counts, np.count_nonzero, grad=False),
]
