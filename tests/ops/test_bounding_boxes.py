"""Bounding boxes on every backend, against real Keras and TensorFlow."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from kfun.ops import bounding_boxes
from kfun.testing import check_op
from tests.conftest import BACKENDS

ABSOLUTE = [f for f in bounding_boxes.FORMATS if not f.startswith("rel_")]
COMPILED = ("jax",)


def keras_function(name):
    def reference(*args, **kwargs):
        import keras

        return getattr(keras.utils.bounding_boxes, name)(*args, **kwargs)

    return reference


def corners(*shape, seed=0, size=20.0):
    """`xyxy` boxes inside an image of that size."""
    points = np.random.default_rng(seed).uniform(0, size, (*shape, 2, 2))
    return np.concatenate([points.min(-2), points.max(-2)], -1).astype("float32")


# Boxes are converted in float32, as in Keras, which differences of float64 do not resolve.
check = functools.partial(check_op, jit=COMPILED, vmap=COMPILED, backends=BACKENDS, grad=False)


@pytest.mark.parametrize("source", bounding_boxes.FORMATS)
def test_formats_convert_as_in_keras(source):
    reference = keras_function("convert_format")
    boxes = np.asarray(reference(corners(3), "xyxy", source, 20, 30))

    def everything(boxes, to=bounding_boxes.convert_format):
        return [to(boxes, source, target, 20, 30) for target in bounding_boxes.FORMATS]

    check(everything, boxes, reference=everything(boxes, reference), atol=1e-5)


def test_formats_in_any_case_and_type():
    boxes = np.int32([[1, 2, 3, 4]])
    check(
        bounding_boxes.convert_format,
        boxes,
        "XYXY",
        "xyWH",
        dtype="float32",
        kwargs={"dtype": "float32"},
        reference=[np.float32([[1, 2, 2, 2]])],
    )


@pytest.mark.parametrize("target", ABSOLUTE)
def test_there_and_back(target):
    def around(boxes):
        there = bounding_boxes.convert_format(boxes, "xyxy", target)
        return bounding_boxes.convert_format(there, target, "xyxy")

    check(around, corners(2, 3), reference=corners(2, 3), atol=1e-5)


@pytest.mark.parametrize("shapes", list(itertools.product([(4,), (2, 4)], [(3,), (2, 3)])))
def test_iou_of_all_pairs(shapes):
    first, second = corners(*shapes[0]), corners(*shapes[1], seed=1)
    check(bounding_boxes.compute_iou, first, second, "xyxy", reference=keras_function("compute_iou"))


def test_iou_of_other_formats_and_masks():
    reference = keras_function("compute_iou")
    first, second = corners(3, size=1.0), corners(2, seed=1, size=1.0)
    check(
        bounding_boxes.compute_iou, first, second, "rel_yxyx", kwargs={"image_shape": (20, 30, 3)}, reference=reference
    )
    first[1] = -1
    check(bounding_boxes.compute_iou, first, second, "xyxy", True, -2, reference=reference)


@pytest.mark.parametrize("format", ["xyxy", "center_xywh"])
def test_ciou_of_pairs(format):
    given = [bounding_boxes.convert_format(corners(2, 3, seed=i), "xyxy", format) for i in (0, 1)]
    check(
        bounding_boxes.compute_ciou,
        *map(np.asarray, given),
        format,
        reference=keras_function("compute_ciou"),
        rtol=1e-4,
    )


def test_ciou_of_the_same_boxes_is_one():
    boxes = corners(3)
    check(bounding_boxes.compute_ciou, boxes, boxes, "xyxy", reference=np.ones(3, "float32"))


def clipped(boxes, labels, *rest, by=bounding_boxes.clip_to_image_size):
    found = by({"boxes": boxes, "labels": labels, "scores": 1}, *rest)
    assert found["scores"] == 1
    return found["boxes"], found["labels"]


@pytest.mark.parametrize(("scale", "rest"), [(1, (12, 15)), (0.06, (None, None, "rel_xyxy"))])
def test_boxes_are_clipped_and_empty_ones_lose_their_label(scale, rest):
    boxes = (corners(2, 5) - 5) * np.float32(scale)
    boxes[0, 0] = np.float32([20, 1, 22, 3])
    labels = np.arange(10, dtype="int32").reshape(2, 5)
    wanted = clipped(boxes, labels, *rest, by=keras_function("clip_to_image_size"))
    assert wanted[1][0, 0] == -1
    check(lambda b, n: clipped(b, n, *rest), boxes, labels, reference=list(map(np.asarray, wanted)))


def test_boxes_without_labels_stay_without():
    found = bounding_boxes.clip_to_image_size({"boxes": corners(2)}, 5, 5)
    assert set(found) == {"boxes"}


def test_crop_and_pad():
    boxes = corners(2, 3)
    check(bounding_boxes.crop, boxes, 3, 4, 10, 11, grad=True, reference=keras_function("crop"))
    check(bounding_boxes.pad, boxes, 3, 4, grad=True, reference=keras_function("pad"))
    check(
        bounding_boxes.pad,
        boxes,
        3,
        4,
        10,
        9,
        reference=np.clip(boxes + np.float32([4, 3, 4, 3]), 0, [9, 10, 9, 10]),
        dtype="float32",
    )


def keras_like_nms(boxes, scores, size, iou, threshold):
    import tensorflow as tf

    chosen = tf.image.non_max_suppression(boxes[:, [1, 0, 3, 2]], scores, size, iou, threshold).numpy()
    return np.pad(chosen, (0, size - len(chosen)), constant_values=-1).astype("int32"), np.int32(len(chosen))


@pytest.mark.parametrize(("iou", "threshold"), [(0.5, -np.inf), (0.1, 0.3), (0.0, -np.inf)])
def test_non_max_suppression(iou, threshold):
    boxes, scores = corners(30), np.random.default_rng(2).uniform(size=30).astype("float32")
    scores[7] = scores[3]  # a tie
    check(
        lambda b, s: bounding_boxes.non_max_suppression(b, s, 12, iou, threshold),
        boxes,
        scores,
        reference=keras_like_nms(boxes, scores, 12, iou, threshold),
    )


def test_non_max_suppression_of_a_batch_and_of_nan():
    boxes, scores = corners(3, 8), np.random.default_rng(3).uniform(size=(3, 8)).astype("float32")
    scores[1, 2] = np.nan
    clean = np.where(np.isnan(scores), -np.inf, scores)
    wanted = zip(*[keras_like_nms(b, s, 9, 0.2, -1e30) for b, s in zip(boxes, clean, strict=True)], strict=True)
    centred = np.asarray(bounding_boxes.convert_format(boxes, "xyxy", "center_yxhw"))
    check(
        lambda b, s: bounding_boxes.non_max_suppression(b, s, 9, 0.2, bounding_box_format="center_yxhw"),
        centred,
        scores,
        reference=[np.stack(w) for w in wanted],
        vmap=False,
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: bounding_boxes.convert_format(b, "xyxy", "corners"), "expected a format among"),
        (lambda b: bounding_boxes.convert_format(b, "rel_xyxy", "xyxy"), "needs the height and the width"),
        (lambda b: bounding_boxes.convert_format(b[:, :3], "xywh", "xyxy"), "received shape"),
        (lambda b: bounding_boxes.compute_iou(b, b, "rel_xyxy"), "image_shape"),
        (lambda b: bounding_boxes.compute_iou(b[0], b, "xyxy"), "received shape"),
        (lambda b: bounding_boxes.crop(b, 0, 0, 3, 3, "xywh"), "convert_format"),
        (lambda b: bounding_boxes.clip_to_image_size({"boxes": b}), "needs the height"),
        (lambda b: bounding_boxes.non_max_suppression(b, b[:, 0], 0), "positive"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(corners(3))
