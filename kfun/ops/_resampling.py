"""Images at other places: separable filters for changes of scale, gathered neighbours for the rest.

B batch, H height, W width, C channels, P points. Pixel i covers `[i, i + 1)` of a filter's axis
(half-pixel centres), and lies at the coordinate i of a map.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._precision import dtype_of

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
ORDERS = {"nearest": 0, "bilinear": 1}


def _triangle(lib: Any, x: Any) -> Any:
    return lib.maximum(1 - x, 0)


def _cubic(lib: Any, x: Any) -> Any:
    """Cubic convolution with a = -1/2 (Keys 1981, doi:10.1109/TASSP.1981.1163711)."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return lib.where(x < 1, near, lib.where(x < 2, far, 0))


def _lanczos(radius: int) -> Callable:
    def kernel(lib, x):
        central = x <= 1e-3
        angle = math.pi * lib.where(central, 1, x)
        window = radius * lib.sin(angle) * lib.sin(angle / radius) / (angle * angle)
        return lib.where(central, 1, lib.where(x > radius, 0, window))

    return kernel


KERNELS: dict[str, Callable] = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _cubic),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def filter_weights(lib: Any, kernel: Callable, source: Any, target: Any, step: Any, offset: Any, antialias: bool):
    """`[m, n]`: how much each of m source pixels counts in each of n target pixels.

    Args:
        lib: NumPy, where all sizes are known, or the elementwise ops; their functions have the same names.
        kernel: `kernel(lib, distance)`.
        source: the coordinates of the source pixels, `[m, 1]`.
        target: those of the target pixels, `[1, n]`.
        step: the width of a target pixel, in source pixels.
        offset: where the first target pixel begins, in source pixels.
        antialias: whether the kernel grows with `step`, so that every source pixel counts.
    """
    at = (target + 0.5) * step + offset - 0.5
    distance = lib.abs(at - source)
    if antialias:
        distance = distance / lib.maximum(step, 1)
    weights = kernel(lib, distance)
    total = (np if lib is np else r).sum(weights, 0, keepdims=True)
    found = lib.abs(total) > 1000 * 2.0**-23
    return lib.where(found, weights / lib.where(found, total, 1), 0), at


def resized(x: Any, axes: Sequence[int], size: Sequence[Any], method: str, antialias: bool) -> Any:
    """`x` with other sizes along `axes`; floating unless `method` is `"nearest"`."""
    for axis, new in zip(axes, size, strict=True):
        old = c.shape(x)[axis]
        known = isinstance(old, int) and isinstance(new, int)
        if known and old == new:
            continue
        if method == "nearest":
            odd = 2 * counted(new) + 1
            places = odd * old // (2 * new) if known else e.floor_divide(e.multiply(odd, old), 2 * new)
            x = s.take(x, places, axis)
        else:
            x = contracted(
                x,
                axis,
                _known_weights(old, new, method, antialias) if known else _open_weights(old, new, method, antialias),
            )
    return x


def _known_weights(old: int, new: int, method: str, antialias: bool) -> np.ndarray:
    source, target = np.arange(old, dtype="float64")[:, None], np.arange(new, dtype="float64")[None]
    weights, _ = filter_weights(np, KERNELS[method], source, target, old / new, 0.0, antialias)
    return weights.astype("float32")


def _open_weights(old: Any, new: Any, method: str, antialias: bool) -> Any:
    step = e.divide(old, new)
    source, target = c.cast(counted(old), "float32")[:, None], c.cast(counted(new), "float32")[None]
    return filter_weights(e, KERNELS[method], source, target, step, 0.0, antialias)[0]


def contracted(x: Any, axis: int, weights: Any) -> Any:
    """`x` with its axis of size m replaced by one of size n; `weights` is `[m, n]`."""
    letters = string.ascii_lowercase[: len(c.shape(x))]
    into = letters.replace(letters[axis], "Z")
    return p.einsum(f"{letters},{letters[axis]}Z->{into}", x, weights)


def counted(n: Any) -> Any:
    """`0, 1, ... n - 1`, int32: NumPy's where n is known, so that it joins arrays of every backend."""
    return np.arange(n, dtype="int32") if isinstance(n, int) else c.arange(n)


def rounded(x: Any, dtype: str) -> Any:
    """`x` in `dtype`; for an integer type rounded, halves to even, and limited to its range."""
    if dtypes.is_integer(dtype) and dtypes.is_float(dtype_of(x)):
        bounds = np.iinfo(dtype)
        # The nearest float32 to the largest int32 lies above it.
        top = bounds.max if bounds.bits < 24 else int(np.nextafter(np.float32(bounds.max), np.float32(0)))
        x = e.clip(e.round(x), bounds.min, top)
    return c.cast(x, dtype)


def sampled(x: Any, coordinates: Sequence[Any], order: int, fill_mode: str, fill_value: Any) -> Any:
    """The values of images between their pixels.

    Args:
        x: `[B, D..., C]`.
        coordinates: one floating array `[B, P]` (or `[1, P]`) for each of the axes D.
        order: 0 for the nearest pixel, 1 for linear interpolation.
        fill_mode: what lies outside, one of `FILL_MODES`.
        fill_value: that of `"constant"`.

    Returns:
        `[B, P, C]` in the type of `x`; integers are rounded, halves away from 0.
    """
    batch, *sizes, channels = c.shape(x)
    flat = s.reshape(x, (-1, channels))
    base = counted(batch)[:, None]
    fill = _of_type(fill_value, dtype_of(x))
    neighbours = [_neighbours(at, order) for at in coordinates]
    total = None
    for corner in itertools.product(*neighbours):
        index, inside, weight = base, None, None
        for (place, share), size in zip(corner, sizes, strict=True):
            if fill_mode == "constant":
                here = e.logical_and(e.greater_equal(place, 0), e.less(place, size))
                inside = here if inside is None else e.logical_and(inside, here)
            index = index * size if isinstance(size, int) else e.multiply(index, size)
            index = e.add(index, _fixed(place, size, fill_mode))
            weight = share if weight is None or share is None else e.multiply(weight, share)
        values = s.take(flat, index, 0)
        if inside is not None:
            values = e.where(s.expand_dims(inside, -1), values, fill)
        if weight is not None:
            values = e.multiply(values, s.expand_dims(weight, -1))
        total = values if total is None else e.add(total, values)
    if dtypes.is_integer(dtype_of(x)) and dtypes.is_float(dtype_of(total)):
        total = _nearest(total)
    return c.cast(total, dtype_of(x))


def _of_type(value: Any, dtype: str) -> Any:
    if isinstance(value, (int, float)):
        return int(value) if dtypes.is_integer(dtype) else value
    return c.cast(value, dtype)


def _neighbours(at: Any, order: int) -> list[tuple[Any, Any]]:
    """The pixels along one axis that count, and how much; None for all."""
    if order == 0:
        return [(c.cast(_nearest(at), "int32"), None)]
    low = e.floor(at)
    share = e.subtract(at, low)
    index = c.cast(low, "int32")
    return [(index, e.subtract(1, share)), (e.add(index, 1), share)]


def _nearest(x: Any) -> Any:
    """The nearest whole number, halves away from 0."""
    size = e.abs(x)
    low = e.floor(size)
    away = c.cast(e.greater_equal(e.subtract(size, low), 0.5), dtype_of(x))
    return e.multiply(e.sign(x), e.add(low, away))


def _fixed(index: Any, size: Any, fill_mode: str) -> Any:
    """The pixel that stands for one outside: the last one, the axis repeated, or the axis mirrored at
    the centre of its last pixel (`"mirror"`) or at that pixel's edge (`"reflect"`)."""
    if fill_mode == "wrap":
        return e.mod(index, size)
    if fill_mode == "mirror":
        return _mirrored(index, size)
    if fill_mode == "reflect":
        return e.floor_divide(e.subtract(_mirrored(e.add(e.multiply(index, 2), 1), 2 * size + 1), 1), 2)
    return e.clip(index, 0, size - 1)


def _mirrored(index: Any, size: Any) -> Any:
    last = size - 1
    if isinstance(last, int) and last == 0:
        return c.zeros_like(index)
    period = 2 * last if isinstance(last, int) else e.maximum(2 * last, 1)
    return e.abs(e.subtract(e.mod(e.add(index, last), period), last))
