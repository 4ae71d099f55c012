"""Averages, correlations and counts. Medians and quantiles are in `quantile`, variances in `reduction`."""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import convolution as conv
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._like import counted, refuse_sparse, scalar_like, shaped
from kfun.ops._precision import dtype_of, widened


@derived
def average(x: Array, axis=None, weights: Array = None) -> Array:
    """Weighted mean over `axis`: `sum(x * weights) / sum(weights)`, floating.

    Args:
        x: numbers.
        axis: an int, several, or None for all.
        weights: of the shape of `x`, or 1-d along one `axis`; None weighs all alike.

    Raises:
        ValueError: if `weights` has neither shape.
    """
    if weights is None:
        return r.mean(x, axis)
    rank, ranks = len(c.shape(x)), len(c.shape(weights))
    if ranks != rank:
        if ranks != 1 or not isinstance(axis, int):
            raise ValueError(
                f"ops.average: expected weights of the shape of x, or with one axis and an int as axis; received "
                f"{rank} axes of x, {ranks} of weights, axis={axis}"
            )
        weights = s.reshape(weights, [-1 if i == axis % rank else 1 for i in range(rank)])
    dtype = dtypes.inexact(dtype_of(x), dtype_of(weights))
    x, weights = (widened(c.cast(v, dtype)) for v in (x, weights))
    return c.cast(e.divide(r.sum(e.multiply(x, weights), axis), r.sum(weights, axis)), dtype)


@derived
def corrcoef(x: Array) -> Array:
    """Pearson's correlation coefficients of the rows.

    Args:
        x: `[V, N]`, N observations of V variables, or `[N]`.

    Returns:
        `[V, V]` (or a scalar), in [-1, 1]; NaN for a variable that is constant.
    """
    dtype = dtypes.inexact(dtype_of(x))
    wide = widened(c.cast(x, dtype))
    centred = e.subtract(wide, r.mean(wide, -1, True))
    unit = e.divide(centred, e.sqrt(r.sum(e.multiply(centred, centred), -1, True)))
    found = p.inner(unit, unit)
    found = e.where(e.isnan(found), found, e.clip(found, -1.0, 1.0))  # OpenVINO's clip makes a number of NaN
    return c.cast(found, dtype)


@derived
def correlate(x1: Array, x2: Array, mode: str = "valid") -> Array:
    """Cross-correlation of two 1-d arrays: `out[k] = sum(x1[n + k] * x2[n])`, floating.

    Args:
        x1: `[N]`; where N is known only at run time it must not be below M.
        x2: `[M]`, M known.
        mode: `"full"` gives all `N + M - 1` places where the two meet, `"same"` the `max(N, M)` in the
            middle, `"valid"` those where the shorter lies inside the longer.

    Raises:
        ValueError: if `mode` is unknown, or an array has not one axis.
    """
    if mode not in ("valid", "same", "full") or len(c.shape(x1)) != 1 or len(c.shape(x2)) != 1:
        raise ValueError(
            f"ops.correlate: expected 1-d arrays and mode 'valid', 'same' or 'full'; received shapes {c.shape(x1)} "
            f"and {c.shape(x2)} and mode {mode!r}"
        )
    dtype = dtypes.inexact(dtype_of(x1), dtype_of(x2))
    x1, x2 = c.cast(x1, dtype), c.cast(x2, dtype)
    (n,), (m,) = c.shape(x1), c.shape(x2)
    if isinstance(n, int) and m > n:  # the shorter slides over the longer; what it meets comes in reverse order
        return s.flip(correlate(x2, x1, mode), 0)
    before = {"valid": 0, "same": m // 2, "full": m - 1}[mode]
    after = {"valid": 0, "same": m - 1 - m // 2, "full": m - 1}[mode]
    padded = s.reshape(s.pad(x1, ((before, after),)), (1, -1, 1))
    return s.reshape(conv.conv(padded, s.reshape(x2, (m, 1, 1))), (-1,))


@derived
def bincount(x: Array, weights: Array = None, minlength: int = 0, sparse: bool = False) -> Array:
    """How often each number occurs: `out[i] = sum(weights[x == i])`, the weights 1 by default.

    The size of the result depends on the numbers: JAX cannot trace it.

    Args:
        x: `[N]` or `[B, N]` (each row on its own), integers of at least 0.
        weights: of the shape of `x`.
        minlength: the least size of the result.
        sparse: whether to give a sparse array, on JAX and TensorFlow.

    Returns:
        `[K]` or `[B, K]` with K the greater of `max(x) + 1` and `minlength`; int32, or the type of the weights.

    Raises:
        ValueError: if `x` has other axes, or `sparse` is asked of a backend without sparse arrays.
    """
    refuse_sparse("bincount", sparse)
    sizes = c.shape(x)
    if len(sizes) not in (1, 2):
        raise ValueError(f"ops.bincount: expected x with 1 or 2 axes; received shape {sizes}")
    x = c.cast(x, "int32")
    ones = c.ones_like(x) if weights is None else weights
    least = scalar_like(x, minlength - 1, "int32")
    bins = e.add(r.max(s.concatenate([s.ravel(x), s.reshape(least, (1,))])), 1)
    if len(sizes) == 1:
        return s.segment_sum(ones, x, bins)
    rows = shaped(counted(sizes[0]), (-1, 1))
    place = e.add(x, e.multiply(rows, bins))
    counts = s.segment_sum(s.ravel(ones), s.ravel(place), e.multiply(bins, sizes[0]))
    return s.reshape(counts, (sizes[0], bins))


@derived
def digitize(x: Array, bins: Array) -> Array:
    """The bin that each element lies in: i where `bins[i - 1] <= x < bins[i]`, int32.

    Args:
        x: of any shape.
        bins: `[K]`, ascending edges.

    Returns:
        The shape of `x`, numbers from 0 (below all edges) to K.
    """
    return s.searchsorted(bins, x, "right")


@derived
def histogram(x: Array, bins: int = 10, range=None) -> tuple:
    """Counts of the elements in bins of one width.

    Args:
        x: real numbers, of any shape; not empty unless `range` is given.
        bins: K, how many.
        range: `(low, high)`; elements outside are not counted. By default the least and the greatest.

    Returns:
        The counts `[K]` and the edges `[K + 1]`, both in the floating type of `x`. A bin holds its
        lower edge, the last one also its upper.

    Raises:
        ValueError: if `bins` is below 1, or `range` is no pair that ascends.
    """
    if not isinstance(bins, int) or bins < 1:
        raise ValueError(f"ops.histogram: expected at least one bin; received {bins}")
    if range is not None and len(range) != 2:
        raise ValueError(f"ops.histogram: range: expected (low, high); received {range}")
    if range is not None and range[0] > range[1]:
        raise ValueError(f"ops.histogram: range: expected low below high; received {range}")
    dtype = dtypes.inexact(dtype_of(x))
    flat = widened(c.cast(s.ravel(x), dtype))
    low, high = (scalar_like(flat, v, dtype_of(flat)) for v in range) if range else (r.min(flat), r.max(flat))
    level = e.equal(low, high)
    low, high = e.where(level, e.subtract(low, 0.5), low), e.where(level, e.add(high, 0.5), high)
    upwards = counted(bins + 1) / bins
    edges = e.add(e.multiply(low, (1 - upwards).astype("float32")), e.multiply(high, upwards.astype("float32")))
    place = e.subtract(s.searchsorted(edges, flat, "right"), 1)
    place = e.where(e.equal(flat, high), bins - 1, place)
    place = e.where(e.logical_and(e.greater_equal(flat, low), e.less_equal(flat, high)), place, bins)
    counts = s.segment_sum(c.ones_like(flat, "int32"), place, bins + 1)
    return c.cast(s.getitem(counts, slice(0, bins)), dtype), c.cast(edges, dtype)
