"""Rows of statistics: averages, order statistics, counts, running products, and reductions without NaN."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import case, keras_op, row, several


def _averages(draw):
    x, w = draw.normal(3, 4), draw.uniform(0.5, 2, 4)
    half = draw.uniform(0.5, 1.5, 3000).astype("float16")
    return [
        case(x, 1, w),
        case(x),
        case(x, weights=draw.uniform(0.5, 2, 3, 4)),
        case(x, axis=(0, 1), weights=draw.uniform(0.5, 2, 3, 4)),
        case(draw.integers(0, 9, 2, 3), -2, draw.integers(1, 4, 2)),
        case(half, None, np.ones(3000, "float16")).but(reference=_half_mean, grad=False, rtol=1e-3),
        case(x, 0, np.zeros(3, "float32")).but(grad=False),
    ]


def _half_mean(x, axis, weights):
    return np.float16(x.astype("float32").mean())


def _correlations(draw):
    return [
        case(draw.normal(3, 8)),
        case(draw.normal(8)).but(grad=False),  # constantly 1
        case(draw.integers(0, 9, 2, 6)),
        case(1e4 + draw.normal(2, 8)).but(rtol=1e-3, grad=False),
        case(np.float32([[1, 2, 3], [1, 1, 1]])).but(grad=False),
    ]


def _signals(draw):
    x, y = draw.normal(7), draw.normal(4)
    return [
        case(x, y),
        case(x, y, "same"),
        case(x, y, mode="full"),
        case(y, x),
        case(y, x, "same"),
        case(x, draw.normal(3), "same"),
        case(x, x, "same"),
        case(draw.integers(0, 9, 5), draw.integers(0, 9, 2), "full"),
        case(y, draw.normal(1)),
    ]


def _counts(draw):
    x = draw.integers(0, 6, 9)
    return [
        case(x),
        case(x, minlength=8),
        case(x, draw.uniform(0, 1, 9)),
        case(x, weights=draw.integers(0, 5, 9), minlength=2),
        case(np.int32([[1, 2, 4], [4, 0, 0]])),
        case(np.int32([[1, 2], [2, 0]]), np.float32([[0.5, 1], [2, 3]]), 5),
        case(np.uint8([1, 9])),
        case(np.zeros(0, "int32"), minlength=3),
    ]


def _bins(draw):
    edges = np.float32([-1, 0, 0.5, 2])
    return [
        case(draw.normal(3, 4), edges),
        case(edges, edges),
        case(draw.integers(-3, 4, 5), np.int32([-1, 2])),
        case(draw.integers(-3, 4, 5), edges),
        case(draw.normal(), edges),
    ]


def _histograms(draw):
    x = draw.distinct(12)
    return [
        case(x, 5),
        case(draw.normal(40)),
        case(x, bins=3, range=(-1.0, 1.0)),
        case(draw.integers(0, 9, 20), 4),
        case(np.float32([2, 2]), 2),
        case(np.float32([0, 1, 1, 2]), 2),
        case(np.zeros(0, "float32"), 2, (0.0, 1.0)).but(reference=lambda *_: (np.zeros(2, "float32"), _thirds)),
        case(np.float16([1, 2, 3]), 2),
    ]


_thirds = np.float32([0, 0.5, 1])


def _quantiles(draw, low=0.3, several_q=(0.13, 0.37, 0.81)):
    x, q = draw.distinct(4, 3, 5), np.float32(several_q)
    ends = np.float32([0, low, 1 if low < 1 else 100])
    return [
        case(x, low, 2),
        case(x, q),
        case(x, q, axis=(0, -1)),
        case(x, low, 1, "lower", True),
        case(x, q, 0, method="higher", keepdims=True),
        case(x, q, (1, 2), "nearest"),
        case(x, low, axis=-1, method="midpoint"),
        case(x, np.float32(low), keepdims=True),
        case(draw.integers(0, 9, 3, 4), low, 1),
        case(draw.bools(5), low),
        case(np.float16([1, 4, 2, 7]), low).but(grad=False, rtol=1e-3),
        case(x, ends, 1).but(grad=False),  # kinks
        case(np.float32([1, np.inf]), low).but(reference=lambda *_: np.float32("inf"), grad=False),
        case(np.float32([-np.inf, 3]), low).but(reference=lambda *_: np.float32("-inf"), grad=False),
    ]


def _percentiles(draw):
    return _quantiles(draw, 30.0, (13.0, 37.0, 81.0))


def _with_nan(draw, *shape):
    x = draw.distinct(*shape)
    x[draw.generator.random(shape) < 0.3] = np.nan
    return x


def _nan_rows(draw):
    x = _with_nan(draw, 4, 6)
    x[1] = np.nan
    return x


def _nan_quantiles(draw):
    return [*_quantiles(draw)[:4], *_further_nan_quantiles(draw, 0.37, (0.0, 0.25, 0.8, 1.0))]


def _nan_percentiles(draw):
    return [*_percentiles(draw)[:4], *_further_nan_quantiles(draw, 37.0, (0.0, 25.0, 80.0, 100.0))]


def _further_nan_quantiles(draw, low, several_q):
    x, q = _nan_rows(draw), np.float32(several_q)
    return [
        case(x, q, 1).but(grad=False),
        case(x, low, keepdims=True).but(grad=False),
        case(x, q, axis=0, method="nearest").but(grad=False),
        case(x, low, 1, "midpoint", True).but(grad=False),
    ]


def _medians(draw):
    return [
        case(draw.distinct(3, 4), 1),
        case(draw.distinct(3, 5)),
        case(draw.distinct(3, 4, 2), axis=(0, -1), keepdims=True),
        case(draw.integers(0, 9, 3, 4), 0),
        case(np.float32([[1, np.nan, 2], [1, 3, 2]]), 1).but(grad=False),
        case(draw.normal()),
    ]


def _nan_medians(draw):
    return [*_medians(draw)[:4], case(_nan_rows(draw), 1).but(grad=False), case(_with_nan(draw, 5)).but(grad=False)]


def _nan_reduced(draw):
    x, rows = draw.distinct(3, 4, 2), _nan_rows(draw)
    return [
        case(x, 1),
        case(x),
        case(x, (0, 2), True),
        case(rows, 1).but(grad=False),
        case(rows, 0, keepdims=True).but(grad=False),
        case(rows).but(grad=False),
        case(draw.integers(-4, 5, 3, 2), 0),
        case(np.float32([2, np.nan, -1]).astype("float16"), 0).but(grad=False, rtol=1e-3),
    ]


def _nan_places(draw):
    rows = _nan_rows(draw)
    return [
        case(draw.distinct(3, 4), 1),
        case(rows, 1),
        case(rows),
        case(rows, axis=0),
        case(rows, -1, True),
        case(rows, keepdims=True),
        case(draw.integers(-4, 5, 3, 2), 0),
    ]


def _nan_running(draw):
    rows = np.clip(_nan_rows(draw), -2, 2)
    return [
        case(draw.uniform(0.5, 2, 3, 4), 1),
        case(rows, 1).but(grad=False),
        case(rows).but(grad=False),
        case(rows, axis=0, dtype="float16").but(grad=False, rtol=1e-2, atol=1e-2),
        case(draw.integers(-2, 3, 3, 2), 0),
    ]


def _running_products(draw):
    x = draw.uniform(0.5, 2, 2, 3, 4)
    return [
        case(x, 1),
        case(x),
        case(x, -1),
        case(np.float32([[1, 0, 3, -2], [2, 0, 0, 1]]), 1),
        case(draw.integers(-3, 4, 3, 4), 0),
        case(draw.integers(-3, 4, 7), 0, "float32"),
        case(draw.bools(5), 0),
        case(draw.normal(0, 3), 1),
        case(np.full(9, 1.1, "float16"), 0).but(grad=False, rtol=2e-3),
    ]


def _ranges(draw):
    x = draw.distinct(2, 3, 4)
    return [case(x, 1), case(x), case(x, (0, -1), True), case(draw.integers(-4, 5, 3, 4), 0), case(np.uint8([9, 2]))]


def _differences(draw):
    x = draw.normal(3, 5)
    return [
        case(x),
        case(x, 2, 0),
        case(x, n=3, axis=-1),
        case(x, 0),
        case(draw.normal(2), 3),
        case(draw.integers(-9, 9, 4)),
        case(draw.bools(6)),
    ]


def _integrals(draw):
    y = draw.normal(3, 5)
    return [
        case(y),
        case(y, np.sort(draw.normal(5))),
        case(y, draw.normal(3, 5), axis=0),
        case(y, dx=0.5, axis=0),
        case(draw.integers(0, 9, 4), dx=2),
        case(draw.normal(4), draw.integers(0, 9, 4)),
    ]


def _inners(draw):
    return [
        case(draw.normal(2, 3), draw.normal(4, 3)),
        case(draw.normal(3), draw.normal(3)),
        case(draw.normal(2, 4, 3), draw.normal(3)),
        case(draw.normal(), draw.normal(2)),
        case(draw.integers(0, 9, 2, 3), draw.integers(0, 9, 3)),
    ]


def _vdots(draw):
    return [
        case(draw.normal(2, 3), draw.normal(2, 3)),
        case(draw.normal(2, 3), draw.normal(6)),
        case(draw.integers(0, 9, 3), draw.integers(0, 9, 3)),
        case(draw.normal(), draw.normal()),
    ]


def _krons(draw):
    return [
        case(draw.normal(2, 3), draw.normal(3, 2)),
        case(draw.normal(3), draw.normal(2, 2)),
        case(draw.normal(2, 1, 2), draw.normal(2)),
        case(draw.integers(0, 9, 2), draw.integers(0, 9, 2)),
        case(draw.normal(), draw.normal(2)),
    ]


def _crosses(draw):
    x = draw.normal(4, 3)
    return [
        case(x, draw.normal(4, 3)),
        case(x, draw.normal(3)),
        case(draw.normal(2), draw.normal(3)),
        case(draw.normal(4, 2), draw.normal(4, 2)),
        case(draw.normal(3, 4), draw.normal(3, 4), axis=0),
        case(draw.normal(3, 4), draw.normal(4, 3), 0, -1, 0),
        case(draw.integers(-4, 5, 3), draw.integers(-4, 5, 3)),
    ]


_NAN = "nansum nanprod nanmax nanmin nanmean nanvar nanstd"

ROWS = [
    row("average", _averages, keras_op("average")),
    row("corrcoef", _correlations, keras_op("corrcoef")),
    row("correlate", _signals, keras_op("correlate"), atol=1e-5),
    # The number of results depends on the data, which JAX neither compiles nor vectorizes.
    row("bincount", _counts, keras_op("bincount"), jit=False, vmap=False, grad=False),
    row("digitize", _bins, keras_op("digitize"), grad=False),
    row("histogram", _histograms, keras_op("histogram"), grad=False),
    row("quantile", _quantiles, keras_op("quantile")),
    row("percentile", _percentiles, keras_op("percentile")),
    row("nanquantile", _nan_quantiles, keras_op("nanquantile")),
    row("nanpercentile", _nan_percentiles, keras_op("nanpercentile")),
    row("median", _medians, keras_op("median")),
    row("nanmedian", _nan_medians, keras_op("nanmedian")),
    *several(_nan_reduced, _NAN, [keras_op(name) for name in _NAN.split()]),
    *several(_nan_places, "nanargmax nanargmin", [keras_op("nanargmax"), keras_op("nanargmin")], grad=False),
    *several(_nan_running, "nancumsum nancumprod", [keras_op("nancumsum"), keras_op("nancumprod")]),
    row("cumprod", _running_products, keras_op("cumprod")),
    row("ptp", _ranges, keras_op("ptp")),
    row("diff", _differences, np.diff),
    row("trapezoid", _integrals, keras_op("trapezoid")),
    row("inner", _inners, np.inner),
    row("vdot", _vdots, np.vdot),
    row("kron", _krons, np.kron),
    row("cross", _crosses, keras_op("cross")),
]
