"""Images whose pixels move: by coordinates, by affine, projective and random maps."""

from __future__ import annotations

import numpy as np

from kfun import dtypes
from kfun.ops import _filters as filters
from kfun.ops import _resampling as resampling
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import linalg
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, derived
from kfun.ops._precision import dtype_of, widened


@derived
def map_coordinates(inputs: Array, coordinates: Array, order, fill_mode: str = "constant", fill_value=0) -> Array:
    """The values of an array at places between its elements.

    Args:
        inputs: `[D...]`, with n axes.
        coordinates: `[n, P...]`.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: what lies outside: `"constant"`, or the element `"nearest"`, the array again
            (`"wrap"`), or mirrored at the last element (`"mirror"`) or at its edge (`"reflect"`).
        fill_value: that of `"constant"`.

    Returns:
        `[P...]` in the type of `inputs`; integers are rounded.
    """
    shape, places = c.shape(inputs), c.shape(coordinates)
    if len(places) < 2 or (isinstance(places[0], int) and places[0] != len(shape)):
        raise ValueError(
            f"ops.map_coordinates: expected coordinates [{len(shape)}, ...] for inputs of shape {shape}; "
            f"received shape {places}"
        )
    _check_fill("map_coordinates", fill_mode)
    if order not in (0, 1):
        raise ValueError(f"ops.map_coordinates: expected order 0 or 1; received {order!r}")
    at = c.cast(coordinates, dtypes.inexact(dtype_of(coordinates)))
    at = [s.reshape(s.getitem(at, i), (1, -1)) for i in range(len(shape))]
    image = s.expand_dims(inputs, (0, len(shape) + 1))
    return s.reshape(resampling.sampled(image, at, order, fill_mode, fill_value), places[1:])


def _check_fill(op, fill_mode, interpolation="nearest"):
    if fill_mode not in resampling.FILL_MODES:
        known = ", ".join(resampling.FILL_MODES)
        raise ValueError(f"ops.{op}: expected a fill_mode among {known}; received {fill_mode!r}")
    if interpolation not in resampling.ORDERS:
        raise ValueError(f"ops.{op}: expected interpolation 'nearest' or 'bilinear'; received {interpolation!r}")


def _warped(x, rows, columns, interpolation, fill_mode, fill_value):
    """`[B, H, W, C]` at the places `[B, H * W]`."""
    at = resampling.sampled(x, (rows, columns), resampling.ORDERS[interpolation], fill_mode, fill_value)
    return s.reshape(at, c.shape(x))


def _grid(x):
    """The row and the column of each pixel of `[B, H, W, C]`, `[1, H * W]`, floating."""
    height, width = c.shape(x)[1:3]
    rows, columns = resampling.counted(height), resampling.counted(width)
    if isinstance(rows, np.ndarray) and isinstance(columns, np.ndarray):
        at = np.meshgrid(rows, columns, indexing="ij")
        return tuple(axis.reshape(1, -1).astype("float32") for axis in at)
    at = s.reshape(rows[:, None] * width + columns, (1, -1))
    return c.cast(e.floor_divide(at, width), "float32"), c.cast(e.mod(at, width), "float32")


@derived
def affine_transform(
    images: Array,
    transform: Array,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value=0,
    data_format=None,
) -> Array:
    """Moves pixels by an affine map from the places of the result to those of the source.

    Args:
        transform: `[B, 8]` or `[8]`: `(a0, a1, a2, b0, b1, b2, 0, 0)`. The pixel at column x and row y
            comes from column `a0 x + a1 y + a2` and row `b0 x + b1 y + b2`. The last two are those
            of projective maps, which `perspective_transform` makes; they have no part here.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode, fill_value: as in `map_coordinates`.
    """
    _check_fill("affine_transform", fill_mode, interpolation)
    x, back = filters.batched("affine_transform", images, data_format)
    shape = c.shape(transform)
    if len(shape) not in (1, 2) or (isinstance(shape[-1], int) and shape[-1] != 8):
        raise ValueError(f"ops.affine_transform: expected a transform [8] or [B, 8]; received shape {shape}")
    rows, columns = _grid(x)
    transform = widened(c.cast(transform, dtypes.inexact(dtype_of(transform))))
    a0, a1, a2, b0, b1, b2 = (s.getitem(transform, (..., slice(i, i + 1))) for i in range(6))
    x_in, y_in = _linear(a0, a1, a2, columns, rows), _linear(b0, b1, b2, columns, rows)
    return back(_warped(x, y_in, x_in, interpolation, fill_mode, fill_value))


def _linear(by_column, by_row, start, columns, rows):
    return e.add(e.add(e.multiply(by_column, columns), e.multiply(by_row, rows)), start)


@derived
def perspective_transform(
    images: Array,
    start_points: Array,
    end_points: Array,
    interpolation: str = "bilinear",
    fill_value=0,
    data_format=None,
) -> Array:
    """Moves four corners of an image, `(x, y)` each, from `start_points` to `end_points`.

    Args:
        start_points: `[4, 2]`, or `[B, 4, 2]`.
        end_points: in the shape of `start_points`.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_value: of what lies outside.
    """
    _check_fill("perspective_transform", "constant", interpolation)
    x, back = filters.batched("perspective_transform", images, data_format)
    shapes = c.shape(start_points), c.shape(end_points)
    if any(len(shape) not in (2, 3) for shape in shapes) or len(shapes[0]) != len(shapes[1]):
        raise ValueError(
            "ops.perspective_transform: expected start_points and end_points [4, 2] or [B, 4, 2]; "
            f"received shapes {shapes[0]} and {shapes[1]}"
        )
    rows, columns = _grid(x)
    dtype = dtypes.inexact(dtype_of(start_points), dtype_of(end_points))
    dtype = "float32" if dtype in ("float16", "bfloat16") else dtype
    parts = s.split(_homography(c.cast(start_points, dtype), c.cast(end_points, dtype)), 8, -1)
    t = [s.reshape(part, (-1, 1)) for part in parts]
    scale = _linear(t[6], t[7], 1, columns, rows)
    x_in, y_in = (e.divide(_linear(u, v, w, columns, rows), scale) for u, v, w in (t[:3], t[3:6]))
    return back(_warped(x, y_in, x_in, interpolation, "constant", fill_value))


def _homography(start, end):
    """The eight entries of the projective map from `end` to `start`, `[..., 8]`, from its eight linear equations."""
    (x, y), (u, v) = ((p_[..., 0], p_[..., 1]) for p_ in (start, end))  # the map takes (u, v) to (x, y)
    zero, one = c.zeros_like(u), c.ones_like(u)
    first = s.stack([u, v, one, zero, zero, zero, e.negative(x * u), e.negative(x * v)], -1)
    second = s.stack([zero, zero, zero, u, v, one, e.negative(y * u), e.negative(y * v)], -1)
    equations, values = s.concatenate([first, second], -2), s.concatenate([x, y], -1)
    return s.squeeze(linalg.solve(equations, s.expand_dims(values, -1)), -1)


@derived
def elastic_transform(
    images: Array,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value=0.0,
    seed=None,
    data_format=None,
) -> Array:
    """Moves pixels by a smooth random field (Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801).

    Args:
        alpha: how far pixels move.
        sigma: of the normal noise and of the filter that smooths it.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode, fill_value: as in `map_coordinates`.
        seed: an int, or a key of two uint32. It must be given: nothing here is drawn in secret.
            Rows and columns move by the same field, as in Keras.
    """
    from kfun import random  # it imports the ops

    _check_fill("elastic_transform", fill_mode, interpolation)
    if seed is None:
        raise ValueError("ops.elastic_transform: expected a seed, an int or a key of kfun.random; received None")
    x, back = filters.batched("elastic_transform", images, data_format)
    shape = c.shape(x)
    dtype = dtype_of(x) if dtype_of(x) in ("float16", "bfloat16") else "float32"
    drawn = e.multiply(widened(random.normal(_key_like(seed, x), shape[:3], dtype)), sigma)
    size = int(6 * sigma) | 1
    weights = filters.gaussian(size, sigma)
    field = filters.filtered(s.expand_dims(drawn, -1), np.outer(weights, weights)[..., None])
    field = s.reshape(field, (shape[0], -1)) * alpha
    rows, columns = _grid(x)
    return back(_warped(x, e.add(field, rows), e.add(field, columns), interpolation, fill_mode, fill_value))


def _key_like(seed, x):
    """A key in the kind of `x`."""
    if hasattr(seed, "dtype") and not isinstance(seed, np.generic):
        return seed
    words = seed if isinstance(seed, (tuple, list)) else (int(seed) & 0xFFFFFFFF, 0)
    blank = c.cast(s.getitem(s.reshape(c.zeros_like(x), (-1,)), slice(0, 1)), "uint32")
    return e.add(np.array(words, "uint32"), blank)
