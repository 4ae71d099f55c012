"""Bounding boxes: conversion, overlap, clipping, selection.

N and M are numbers of boxes. A box has four numbers, in one of the formats

- `"xyxy"`: left, top, right, bottom; `"yxyx"`: top, left, bottom, right;
- `"xywh"`: left, top, width, height;
- `"center_xywh"`: the centre, width, height; `"center_yxhw"`: the centre (y, x), height, width;
- `"rel_xyxy"`, `"rel_yxyx"`, `"rel_xywh"`, `"rel_center_xywh"`: the same as fractions of an image's
  width and height.

These are plain functions over the ops; they are called as `ops.bounding_boxes.pad`, because some
of their names are those of ops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array
from kfun.ops._precision import dtype_of
from kfun.ops._resampling import counted

FORMATS = (
    "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh",
)  # fmt: skip
_EPSILON = 1e-7  # that of Keras


def convert_format(
    boxes: Array, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32"
) -> Array:
    """Boxes of one format in another.

    Args:
        boxes: `[..., 4]`.
        source: the format of `boxes`, in any case.
        target: that of the result.
        height, width: of the image, needed where one of the formats is relative.
        dtype: of the computation and the result.

    Raises:
        ValueError: for an unknown format, boxes that do not have four numbers, a missing size.
    """
    source, target = source.lower(), target.lower()
    for name in (source, target):
        if name not in FORMATS:
            raise ValueError(
                f"bounding_boxes.convert_format: expected a format among {', '.join(FORMATS)}; received {name!r}"
            )
    boxes = c.cast(_boxes("convert_format", boxes), dtype)
    if source == target:
        return boxes
    relative = source.startswith("rel_"), target.startswith("rel_")
    if any(relative) and (height is None or width is None):
        raise ValueError(
            f"bounding_boxes.convert_format: {source!r} to {target!r} needs the height and the width of the image"
        )
    edges = _edges(boxes, source.removeprefix("rel_"))
    if relative[0] != relative[1]:
        apply = e.multiply if relative[0] else e.divide
        edges = [apply(edge, _like(size, boxes)) for edge, size in zip(edges, (width, height) * 2, strict=True)]
    return _from_edges(edges, target.removeprefix("rel_"))


def _like(size: Any, boxes: Any) -> Any:
    """A size in the type of the boxes; Python's numbers take that by themselves."""
    return c.cast(size, dtype_of(boxes)) if hasattr(size, "dtype") else size


def _boxes(op: str, boxes: Any) -> Any:
    """`boxes`, whose last axis is 4."""
    shape = c.shape(boxes)
    if not shape or (isinstance(shape[-1], int) and shape[-1] != 4):
        raise ValueError(f"bounding_boxes.{op}: expected boxes [..., 4]; received shape {shape}")
    return boxes


def _edges(boxes: Any, format: str) -> Sequence[Any]:
    """Left, top, right and bottom, `[..., 1]` each."""
    a, b, third, fourth = s.split(boxes, 4, -1)
    if format in ("yxyx", "center_yxhw"):
        a, b, third, fourth = b, a, fourth, third
    if format in ("xyxy", "yxyx"):
        return a, b, third, fourth
    if format == "xywh":
        return a, b, e.add(a, third), e.add(b, fourth)
    half_width, half_height = e.divide(third, 2), e.divide(fourth, 2)
    return e.subtract(a, half_width), e.subtract(b, half_height), e.add(a, half_width), e.add(b, half_height)


def _from_edges(edges: Sequence[Any], format: str) -> Any:
    left, top, right, bottom = edges
    if format in ("xyxy", "yxyx"):
        a, b, third, fourth = left, top, right, bottom
    else:
        a, b, third, fourth = left, top, e.subtract(right, left), e.subtract(bottom, top)
        if format != "xywh":
            a, b = e.add(a, e.divide(third, 2)), e.add(b, e.divide(fourth, 2))
    if format in ("yxyx", "center_yxhw"):
        a, b, third, fourth = b, a, fourth, third
    return s.concatenate([a, b, third, fourth], -1)


def _converted(op: str, boxes: Any, format: str, image_shape: Any) -> Sequence[Any]:
    """The edges of boxes of any format, floating."""
    relative = format.lower().startswith("rel")
    if relative and image_shape is None:
        raise ValueError(f"bounding_boxes.{op}: boxes in the format {format!r} need image_shape (height, width, 3)")
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return s.split(convert_format(boxes, format, "xyxy", height, width), 4, -1)


def compute_iou(
    boxes1: Array,
    boxes2: Array,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[Any] | None = None,
) -> Array:
    """Intersection over union of every box with every other.

    Args:
        boxes1: `[N, 4]` or `[B, N, 4]`.
        boxes2: `[M, 4]` or `[B, M, 4]`.
        bounding_box_format: of both.
        use_masking: whether pairs with a box whose numbers are all negative get `mask_val`.
        mask_val: for those.
        image_shape: `(height, width, 3)`, for relative formats.

    Returns:
        `[N, M]` or `[B, N, M]`, float32.
    """
    for boxes in (boxes1, boxes2):
        if len(c.shape(boxes)) not in (2, 3):
            raise ValueError(
                f"bounding_boxes.compute_iou: expected boxes [N, 4] or [B, N, 4]; received shape {c.shape(boxes)}"
            )
    first = _converted("compute_iou", boxes1, bounding_box_format, image_shape)  # [..., N, 1] each
    second = [s.swapaxes(v, -1, -2) for v in _converted("compute_iou", boxes2, bounding_box_format, image_shape)]
    common = _overlap(first, second)
    union = e.subtract(e.add(_area(first), _area(second)), common)
    found = e.divide(common, e.add(union, _EPSILON))
    if not use_masking:
        return found
    blank = [e.less(e.maximum(e.maximum(v[0], v[1]), e.maximum(v[2], v[3])), 0) for v in (first, second)]
    return e.where(e.logical_or(*blank), mask_val, found)


def _area(edges: Sequence[Any]) -> Any:
    left, top, right, bottom = edges
    return e.multiply(e.subtract(right, left), e.subtract(bottom, top))


def _overlap(first: Sequence[Any], second: Sequence[Any]) -> Any:
    """The area that boxes have in common."""
    width, height = (
        e.maximum(e.subtract(e.minimum(first[i + 2], second[i + 2]), e.maximum(first[i], second[i])), 0) for i in (0, 1)
    )
    return e.multiply(width, height)


def compute_ciou(
    boxes1: Array, boxes2: Array, bounding_box_format: str, image_shape: Sequence[Any] | None = None
) -> Array:
    """Complete IoU of boxes pair by pair: overlap, distance of the centres, and proportions
    (Zheng et al. 2020, arXiv:1911.08287).

    Args:
        boxes1, boxes2: `[..., 4]`, of one shape or broadcasting.
        bounding_box_format: of both.
        image_shape: `(height, width, 3)`, for relative formats.

    Returns:
        `[...]`, float32: at most 1, for boxes that are the same.
    """
    first, second = (_converted("compute_ciou", b, bounding_box_format, image_shape) for b in (boxes1, boxes2))
    sizes = [
        (e.subtract(right, left), e.add(e.subtract(bottom, top), _EPSILON))
        for left, top, right, bottom in (first, second)
    ]
    common = _overlap(first, second)
    union = e.subtract(e.add(*(e.multiply(*size) for size in sizes)), common)
    iou = e.divide(common, e.add(union, 2 * _EPSILON))
    diagonal, distance = _EPSILON, 0.0
    for i in (0, 1):
        low, high = e.minimum(first[i], second[i]), e.maximum(first[i + 2], second[i + 2])
        apart = e.divide(e.subtract(e.add(first[i], first[i + 2]), e.add(second[i], second[i + 2])), 2)
        diagonal, distance = e.add(diagonal, e.square(e.subtract(high, low))), e.add(distance, e.square(apart))
    angles = [e.arctan2(*size) for size in sizes]  # the height is positive
    shape = e.multiply(e.square(e.subtract(angles[1], angles[0])), 4 / math.pi**2)
    weight = e.divide(shape, e.add(e.subtract(shape, iou), 1 + _EPSILON))
    return s.squeeze(e.subtract(iou, e.add(e.divide(distance, diagonal), e.multiply(shape, weight))), -1)


def clip_to_image_size(
    bounding_boxes: dict[str, Any], height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> dict[str, Any]:
    """Boxes limited to their image; what lies outside altogether is labelled -1.

    Args:
        bounding_boxes: `{"boxes": [..., N, 4]}`, with `"labels"` `[..., N]` or without.
        height, width: of the image, for `"xyxy"`.
        bounding_box_format: `"xyxy"` or `"rel_xyxy"`.

    Returns:
        A new dict.
    """
    _only("clip_to_image_size", bounding_box_format, ("xyxy", "rel_xyxy"))
    if bounding_box_format == "rel_xyxy":
        height = width = 1
    elif height is None or width is None:
        raise ValueError("bounding_boxes.clip_to_image_size: 'xyxy' needs the height and the width of the image")
    boxes = _boxes("clip_to_image_size", bounding_boxes["boxes"])
    edges = _limited(s.split(boxes, 4, -1), height, width)
    result = {**bounding_boxes, "boxes": s.concatenate(edges, -1)}
    if bounding_boxes.get("labels") is not None:
        seen = e.greater(s.squeeze(_area(edges), -1), 0)
        result["labels"] = e.where(seen, bounding_boxes["labels"], -1)
    return result


def _only(op: str, format: str, known: Sequence[str]) -> None:
    if format not in known:
        raise ValueError(
            f"bounding_boxes.{op}: expected boxes in the format {' or '.join(known)}; received {format!r}: "
            "convert them with convert_format"
        )


def _limited(edges: Sequence[Any], height: Any, width: Any) -> list[Any]:
    return [e.clip(edge, 0, _like(size, edge)) for edge, size in zip(edges, (width, height) * 2, strict=True)]


def crop(boxes: Array, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Array:
    """`[..., 4]` boxes as they lie in a part of their image, which begins at `(left, top)`; limited to it."""
    _only("crop", bounding_box_format, ("xyxy",))
    edges = s.split(_boxes("crop", boxes), 4, -1)
    moved = [e.subtract(edge, by) for edge, by in zip(edges, (left, top) * 2, strict=True)]
    return s.concatenate(_limited(moved, height, width), -1)


def pad(
    boxes: Array, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Array:
    """`[..., 4]` boxes as they lie in their image once it has borders.

    Args:
        top, left: the widths of the borders.
        height, width: of the image with its borders: boxes are limited to it if both are given.
    """
    _only("pad", bounding_box_format, ("xyxy",))
    edges = s.split(_boxes("pad", boxes), 4, -1)
    moved = [e.add(edge, by) for edge, by in zip(edges, (left, top) * 2, strict=True)]
    return s.concatenate(moved if height is None or width is None else _limited(moved, height, width), -1)


def non_max_suppression(
    boxes: Array,
    scores: Array,
    max_output_size: int,
    iou_threshold: float = 0.5,
    score_threshold: float = -math.inf,
    bounding_box_format: str = "xyxy",
):
    """The best boxes that do not overlap a better one: greedy, by score, ties by lowest index.

    Args:
        boxes: `[..., N, 4]`.
        scores: `[..., N]`; a box whose score is NaN or at most `score_threshold` is never chosen.
        max_output_size: K, how many boxes to choose.
        iou_threshold: boxes whose intersection over union is greater overlap.
        score_threshold: see `scores`.
        bounding_box_format: of `boxes`; relative formats need no size here.

    Returns:
        `(indices, count)`: `[..., K]`, int32, -1 behind the last; and how many they are, `[...]`, int32.
    """
    if max_output_size < 1:
        raise ValueError(
            f"bounding_boxes.non_max_suppression: expected a positive max_output_size; received {max_output_size}"
        )
    boxes = c.cast(_boxes("non_max_suppression", boxes), "float32")
    edges = [s.squeeze(v, -1) for v in _edges(boxes, bounding_box_format.lower().removeprefix("rel_"))]  # [..., N]
    area = _area(edges)
    usable = e.greater(scores, score_threshold)
    left = e.where(usable, c.cast(scores, "float32"), -math.inf)
    places = e.add(counted(c.shape(scores)[-1]), c.zeros_like(left, "int32"))

    def choose(left, _):
        best = r.argmax(left, -1, True)  # [..., 1]
        there = e.greater(s.take_along_axis(left, best, -1), -math.inf)
        chosen = [s.take_along_axis(v, best, -1) for v in edges]
        common = _overlap(chosen, edges)
        union = e.subtract(e.add(s.take_along_axis(area, best, -1), area), common)
        near = e.greater(common, e.multiply(union, iou_threshold))
        left = e.where(e.logical_or(near, e.equal(places, best)), -math.inf, left)
        return left, s.squeeze(e.where(there, best, -1), -1)

    _, found = control.scan(choose, left, length=max_output_size)
    indices = s.moveaxis(found, 0, -1)
    return indices, r.sum(c.cast(e.greater_equal(indices, 0), "int32"), -1)
