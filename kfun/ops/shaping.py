"""Shape, order and selection: reshape, transpose, join, split, pad, index, gather, sort."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from kfun.errors import UnknownSizeError
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops._dispatch import Array, Arrays, Scalar, Tree, derived, primitive


@primitive
def reshape(x: Array, newshape) -> Array:
    """`x` in row-major order with another shape; one size may be -1."""


@primitive
def transpose(x: Array, axes=None) -> Array:
    """Permutes axes; reverses them if `axes` is None."""


@primitive
def expand_dims(x: Array, axis) -> Array:
    """Inserts axes of size 1 at `axis` (an int or a tuple, positions in the result)."""


@primitive
def squeeze(x: Array, axis=None) -> Array:
    """Removes axes of size 1: those named, or all."""


@primitive
def broadcast_to(x: Array, shape) -> Array:
    """Repeats `x` along axes of size 1 to reach `shape`."""


@primitive
def concatenate(xs: Arrays, axis=0) -> Array:
    """Joins arrays along an existing axis, in their promoted type."""


@primitive
def stack(x: Arrays, axis=0) -> Array:
    """Joins arrays of one shape along a new axis."""


@primitive
def split(x: Array, indices_or_sections, axis=0):
    """Parts of `x` along `axis`: so many equal ones, or cut at the given indices."""


@primitive
def getitem(x: Array, index) -> Array:
    """`x[index]` for basic indexing: ints, slices, None, Ellipsis, and one integer array at most."""


def get_item(x, key):
    """`x[key]`, as `getitem`."""
    return getitem(x, key)


@primitive
def take(x: Array, indices: Array, axis=None) -> Array:
    """`x[..., indices, ...]` along `axis` (of the flat array if None).

    Negative indices count from the end; indices out of range are clipped on graph backends and
    give NaN (floats) on JAX under `jit`, so check them where they come in.
    """


@primitive
def take_along_axis(x: Array, indices: Array, axis=None) -> Array:
    """One element per index along `axis`; the other axes of `indices` match those of `x`."""


@primitive
def pad(x: Array, pad_width, mode: str = "constant", constant_values: Scalar = None) -> Array:
    """Pads each axis by `(before, after)`.

    Args:
        pad_width: one pair per axis, or one pair or one int for all.
        mode: `"constant"`, `"reflect"`, `"symmetric"` or `"edge"`.
        constant_values: the fill of mode `"constant"`, 0 by default.
    """


@primitive
def tile(x: Array, repeats) -> Array:
    """Repeats the whole array along each axis."""


@primitive
def repeat(x: Array, repeats: int, axis=None) -> Array:
    """Repeats each element along `axis` (of the flat array if None)."""


@primitive
def flip(x: Array, axis=None) -> Array:
    """Reverses the order along `axis`, an int, a tuple or None for all."""


@primitive
def sort(x: Array, axis=-1) -> Array:
    """Ascending order along `axis`."""


@primitive
def argsort(x: Array, axis=-1) -> Array:
    """Indices that sort along `axis`, stable, int32."""


@primitive
def top_k(x: Array, k: int, sorted: bool = True):
    """The `k` largest along the last axis and their indices (int32), ties by lowest index."""


@primitive
def searchsorted(sorted_sequence: Array, values: Array, side: str = "left") -> Array:
    """Where `values` would be inserted into a sorted 1-d array, int32."""


@primitive
def slice(inputs: Array, start_indices: Tree, shape) -> Array:
    """The block of the given `shape` that begins at `start_indices` (ints or scalar arrays)."""


@primitive
def slice_update(inputs: Array, start_indices: Tree, updates: Array) -> Array:
    """`inputs` with the block at `start_indices` replaced by `updates`."""


@primitive
def segment_sum(data: Array, segment_ids: Array, num_segments: int | None = None, sorted: bool = False) -> Array:
    """Sums the rows of `data` that share an id: `out[i] = sum(data[segment_ids == i])`.

    Args:
        data: `[L, ...]`.
        segment_ids: `[L]`, integers; rows with an id outside [0, S) are left out.
        num_segments: S, by default the greatest id plus 1, which must then be known.
        sorted: promises that the ids ascend, which JAX uses; the others need no promise.

    Returns:
        `[S, ...]`; 0 for an id without rows.
    """


@primitive
def tril(x: Array, k: int = 0) -> Array:
    """Zeros above the `k`-th diagonal of the last two axes."""


@derived
def triu(x: Array, k: int = 0) -> Array:
    """Zeros below the `k`-th diagonal of the last two axes."""
    below = tril(c.ones_like(x, "bool"), k - 1)  # a mask, not a difference: inf - inf is NaN
    return e.where(below, c.zeros_like(x), x)


@derived
def ravel(x: Array) -> Array:
    """One axis, row-major."""
    return reshape(x, (-1,))


@derived
def swapaxes(x: Array, axis1, axis2) -> Array:
    """Exchanges two axes."""
    axes = list(range(len(c.shape(x))))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(x, axes)


@derived
def moveaxis(x: Array, source, destination) -> Array:
    """Moves axes to other positions, the rest keep their order."""
    ndim = len(c.shape(x))
    sources = [s % ndim for s in ([source] if isinstance(source, int) else source)]
    targets = [d % ndim for d in ([destination] if isinstance(destination, int) else destination)]
    order = [a for a in range(ndim) if a not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(x, order)


@derived
def unstack(x: Array, num: int | None = None, axis=0) -> list:
    """The slices of `x` along `axis`, without that axis: the first `num`, by default all.

    Raises:
        ValueError: if `axis` is out of range, or its size not known and no `num` given.
    """
    sizes = c.shape(x)
    if not -len(sizes) <= axis < len(sizes):
        raise ValueError(f"ops.unstack: axis {axis} is out of range for shape {sizes}")
    size = sizes[axis]
    if num is None and not isinstance(size, int):
        raise UnknownSizeError(
            f"ops.unstack: the size of axis {axis} is not known: pass num, or fix that size in the Spec"
        )
    if num in (None, size):
        return [squeeze(part, axis) for part in split(x, size, axis)]
    before = (builtins.slice(None),) * (axis % len(sizes))
    return [getitem(x, (*before, i)) for i in range(num)]


@derived
def roll(x: Array, shift, axis=None) -> Array:
    """Shifts elements along `axis`; what leaves at one end enters at the other."""
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), c.shape(x))
    pairs = [(shift, axis)] if isinstance(axis, int) else list(zip(_each(shift, axis), axis, strict=True))
    for by, along in pairs:
        size = c.shape(x)[along]
        cut = (size - by) % size if size else 0
        before = (builtins.slice(None),) * (along % len(c.shape(x)))
        x = concatenate(
            [getitem(x, (*before, builtins.slice(cut, None))), getitem(x, (*before, builtins.slice(0, cut)))], along
        )
    return x


def _each(value, axes: Sequence[int]) -> Sequence[int]:
    return [value] * len(axes) if isinstance(value, int) else value
