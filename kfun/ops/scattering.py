"""Scatter: values written, added or compared into places that indices name; extremes and products of segments.

Half-precision sums and products accumulate in float32. Negative indices count from the end
(ids of segments do not).
Indices out of range are dropped on JAX and are an error on NumPy, Torch and TensorFlow's CPU; a
graph of OpenVINO does not check them.
"""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived, primitive
from kfun.ops._like import full_of
from kfun.ops._operands import limits
from kfun.ops._precision import dtype_of


@primitive
def scatter_update(inputs: Array, indices: Array, updates: Array, reduction: str | None = None) -> Array:
    """`inputs` with `updates` at `indices`: `out[indices[i]] = updates[i]`.

    Args:
        inputs: `[D1, ..., Dn]`.
        indices: `[..., k]` with k <= n, integers; each last row names a place in the first k axes.
        updates: `[..., Dk+1, ..., Dn]`; cast to the type of `inputs`.
        reduction: None replaces what is there (which of several updates of one place stays is not
            defined); `"add"`, `"max"`, `"min"` and `"mul"` combine it with all updates.

    Returns:
        The shape and type of `inputs`. JAX has no gradient of `"mul"`.
    """


@derived
def scatter(indices: Array, values: Array, shape) -> Array:
    """Zeros of a shape, to which `values` are added at `indices` (see `scatter_update`)."""
    return scatter_update(full_of(values, shape, 0, dtype_of(values)), indices, values, "add")


@derived
def segment_max(data: Array, segment_ids: Array, num_segments: int | None = None, sorted: bool = False) -> Array:
    """The maximum of the rows of `data` that share an id: `out[i] = max(data[segment_ids == i])`.

    Args:
        data: `[L, ...]`, real.
        segment_ids: `[L]`, integers; rows with an id outside [0, S) are left out.
        num_segments: S, by default the greatest id plus 1, which must then be known.
        sorted: promises that the ids ascend, which JAX uses; the others need no promise.

    Returns:
        `[S, ...]`; the least value of the type (minus infinity) for an id without rows.

    Raises:
        ValueError: if `segment_ids` has not one axis.
    """
    return _segments("segment_max", data, segment_ids, num_segments, "max")


@derived
def segment_min(data: Array, segment_ids: Array, num_segments: int | None = None, sorted: bool = False) -> Array:
    """The minimum of the rows that share an id, as `segment_max`; the greatest value for an id without rows."""
    return _segments("segment_min", data, segment_ids, num_segments, "min")


@derived
def segment_prod(data: Array, segment_ids: Array, num_segments: int | None = None, sorted: bool = False) -> Array:
    """The product of the rows that share an id, as `segment_max`; 1 for an id without rows. No gradient on JAX."""
    return _segments("segment_prod", data, segment_ids, num_segments, "mul")


def _segments(op, data, segment_ids, num_segments, reduction):
    """Scatters into one row more than there are segments, which takes what is out of range."""
    sizes, ids_shape = c.shape(data), c.shape(segment_ids)
    if len(ids_shape) != 1 or not sizes:
        raise ValueError(
            f"ops.{op}: expected data with a leading axis and one id for each of its rows; received shapes "
            f"{sizes} and {ids_shape}. Flatten both to one axis of rows, or use vmap"
        )
    ids = c.cast(segment_ids, "int32")
    if num_segments is None:
        num_segments = e.add(r.max(ids), 1)
    inside = e.logical_and(e.greater_equal(ids, 0), e.less(ids, num_segments))
    ids = e.where(inside, ids, num_segments)
    blank = full_of(data, (num_segments + 1, *sizes[1:]), _neutral(dtype_of(data), reduction), dtype_of(data))
    filled = scatter_update(blank, s.expand_dims(ids, 1), data, reduction)
    return s.getitem(filled, slice(0, num_segments))


def _neutral(dtype: str, reduction: str):
    """What changes nothing under a reduction."""
    if reduction == "mul":
        return 1
    if dtypes.is_float(dtype):
        return float("-inf" if reduction == "max" else "inf")
    return limits(dtype)[reduction == "min"]
