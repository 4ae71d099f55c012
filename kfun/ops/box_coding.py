"""Bounding boxes against anchors, and boxes under affine transformations; formats are those of `bounding_boxes`.

Plain functions over the ops, like those of `bounding_boxes`. B is the number of images, N of boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array
from kfun.ops._precision import dtype_of
from kfun.ops.bounding_boxes import convert_format

_CODES = ("center_xywh", "center_yxhw")
_EPSILON = 1e-7  # that of Keras: the smallest size whose logarithm is taken


def encode_box_to_deltas(
    anchors: Array,
    boxes: Array,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[Any] | None = None,
) -> Array:
    """What a detector learns to predict: the boxes as seen from their anchors.

    `((centre - anchor's centre) / anchor's size, log(size / anchor's size)) / variance`.

    Args:
        anchors: `[N, 4]`.
        boxes: `[N, 4]` or `[B, N, 4]`.
        anchor_format, box_format: of these.
        encoding_format: the order of the result: `"center_yxhw"` or `"center_xywh"`.
        variance: four numbers to divide by.
        image_shape: `(height, width, ...)`, needed for relative formats.

    Returns:
        Deltas in the shape of `boxes`.

    Raises:
        ValueError: for an unknown format, or a variance of another length.

    Source: Ren et al., 2015, "Faster R-CNN".
    """
    _check("encode_box_to_deltas", encoding_format, variance)
    height, width = (None, None) if image_shape is None else image_shape[:2]
    anchors = convert_format(anchors, anchor_format, encoding_format, height, width)
    boxes = convert_format(boxes, box_format, encoding_format, height, width)
    size = e.maximum(anchors[..., 2:], _EPSILON)
    place = e.divide(e.subtract(boxes[..., :2], anchors[..., :2]), size)
    growth = e.log(e.divide(e.maximum(boxes[..., 2:], _EPSILON), size))
    deltas = s.concatenate([place, growth], -1)
    return deltas if variance is None else e.divide(deltas, c.cast(c.array(list(variance)), dtype_of(deltas)))


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[Any] | None = None,
) -> Any:
    """The boxes of deltas: the inverse of `encode_box_to_deltas`.

    Args:
        anchors: `[N, 4]`, or a dict of them by pyramid level.
        boxes_delta: `[N, 4]` or `[B, N, 4]`, or a dict of them with the same keys.
        anchor_format: of the anchors.
        box_format: of the result.
        encoded_format: `"center_yxhw"` or `"center_xywh"`, the order in the deltas.
        variance: four numbers that the deltas were divided by.
        image_shape: `(height, width, ...)`, needed for relative formats.

    Returns:
        Boxes in the shape of `boxes_delta`, or a dict of them.

    Raises:
        ValueError: for an unknown format, a variance of another length, or keys that differ.
    """
    _check("decode_deltas_to_boxes", encoded_format, variance)
    if isinstance(anchors, dict) or isinstance(boxes_delta, dict):
        if not (isinstance(anchors, dict) and isinstance(boxes_delta, dict) and anchors.keys() == boxes_delta.keys()):
            raise ValueError("decode_deltas_to_boxes: expected anchors and deltas as dicts with the same keys")
        rest = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {k: decode_deltas_to_boxes(anchors[k], boxes_delta[k], *rest) for k in anchors}
    height, width = (None, None) if image_shape is None else image_shape[:2]
    anchors = convert_format(anchors, anchor_format, encoded_format, height, width)
    deltas = c.cast(boxes_delta, "float32")
    if variance is not None:
        deltas = e.multiply(deltas, c.cast(c.array(list(variance)), dtype_of(deltas)))
    place = e.add(e.multiply(deltas[..., :2], anchors[..., 2:]), anchors[..., :2])
    size = e.multiply(e.exp(deltas[..., 2:]), anchors[..., 2:])
    return convert_format(s.concatenate([place, size], -1), encoded_format, box_format, height, width)


def _check(op: str, form: str, variance: Any) -> None:
    if form not in _CODES:
        raise ValueError(f"bounding_boxes.{op}: expected the deltas as one of {_CODES}; received {form!r}")
    if variance is not None and len(variance) != 4:
        raise ValueError(f"bounding_boxes.{op}: expected a variance of four numbers; received {variance!r}")


def affine_transform(
    boxes: Array,
    angle: Array,
    translate_x: Array,
    translate_y: Array,
    scale: Array,
    shear_x: Array,
    shear_y: Array,
    height: int,
    width: int,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Array:
    """The upright boxes around boxes that were moved, turned, sheared and scaled about a centre.

    Args:
        boxes: `[B, N, 4]`.
        angle: `[B]`, degrees, counter-clockwise on the screen.
        translate_x, translate_y: `[B]`, before the turn, in widths and heights of the image.
        scale: `[B]`, a factor.
        shear_x, shear_y: `[B]`, degrees.
        height, width: of the image.
        center_x, center_y: in widths and heights of the image; its middle if None.
        bounding_box_format: of `boxes` and of the result.

    Returns:
        `[B, N, 4]`, not clipped to the image.

    Note:
        With two shears, or a shear and a turn, the product is not that of the textbook's matrices; it is Keras's:
        the horizontal shear sees the vertical one's row with its first number negated.
    """
    boxes = convert_format(boxes, bounding_box_format, "xyxy", height, width)
    (a, b), (lower_a, lower_b) = _matrix(angle, scale, shear_x, shear_y)
    middle_x = (width - 1) * (0.5 if center_x is None else center_x)
    middle_y = (height - 1) * (0.5 if center_y is None else center_y)
    left, top, right, bottom = s.split(boxes, 4, -1)
    xs = s.concatenate([left, right, right, left], -1)  # [B, N, 4], the corners
    ys = s.concatenate([top, top, bottom, bottom], -1)
    xs = e.add(e.subtract(xs, middle_x), e.multiply(_rows(translate_x), width - 1))
    ys = e.add(e.subtract(ys, middle_y), e.multiply(_rows(translate_y), height - 1))
    new_x = e.add(e.add(e.multiply(a, xs), e.multiply(b, ys)), middle_x)
    new_y = e.add(e.add(e.multiply(lower_a, xs), e.multiply(lower_b, ys)), middle_y)
    edges = [r.min(new_x, -1, True), r.min(new_y, -1, True), r.max(new_x, -1, True), r.max(new_y, -1, True)]
    return convert_format(s.concatenate(edges, -1), "xyxy", bounding_box_format, height, width)


def _rows(value: Any) -> Any:
    """A number per image, `[B]`, as `[B, 1, 1]`."""
    return s.reshape(c.cast(value, "float32"), (-1, 1, 1))


def _matrix(angle: Any, scale: Any, shear_x: Any, shear_y: Any) -> Any:
    """The rows of the turn, the shears and the scale: `[B, 1, 1]` each."""
    turn, factor = e.multiply(_rows(angle), math.pi / 180), _rows(scale)
    shears = [e.multiply(_rows(v), math.pi / 180) for v in (shear_x, shear_y)]
    across, down = (e.divide(e.sin(v), e.cos(v)) for v in shears)
    cos, sin = e.cos(turn), e.sin(turn)
    lower = e.subtract(e.multiply(down, cos), sin), e.add(e.multiply(down, sin), cos)
    upper = e.subtract(cos, e.multiply(across, lower[0])), e.add(sin, e.multiply(across, lower[1]))
    return [[e.multiply(factor, v) for v in row] for row in (upper, lower)]
