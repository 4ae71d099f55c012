"""`utils.bounding_boxes` against Keras: codes of detectors and affine transformations."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import itertools

import keras
import numpy as np
import pytest

import compat

OURS, THEIRS = compat.utils.bounding_boxes, keras.utils.bounding_boxes
ANCHORS = np.array([[0, 0, 20, 20], [10, 10, 40, 60.0]], "float32")
BOXES = np.array([[[10, 20, 30, 50.0], [5, 5, 15, 25]], [[0, 0, 8, 8], [12, 30, 40, 60]]], "float32")
VARIANCES = {"none": None, "some": [0.1, 0.1, 0.2, 0.2]}


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("form", ["center_yxhw", "center_xywh"])
def test_codes(form, variance):
    options = {"variance": VARIANCES[variance]}
    for boxes in (BOXES, BOXES[0]):
        ours = OURS.encode_box_to_deltas(ANCHORS, boxes, "xyxy", "xyxy", form, **options)
        theirs = THEIRS.encode_box_to_deltas(ANCHORS, boxes, "xyxy", "xyxy", form, **options)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        back = OURS.decode_deltas_to_boxes(ANCHORS, ours, "xyxy", "xywh", form, **options)
        same = THEIRS.decode_deltas_to_boxes(ANCHORS, theirs, "xyxy", "xywh", form, **options)
        np.testing.assert_allclose(back, same, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(OURS.convert_format(back, "xywh", "xyxy"), boxes, atol=1e-3)


def test_relative_boxes_and_levels():
    shape = (64, 80, 3)
    ours = OURS.encode_box_to_deltas(ANCHORS, BOXES[0] / 80, "xyxy", "rel_xyxy", image_shape=shape)
    theirs = THEIRS.encode_box_to_deltas(ANCHORS, BOXES[0] / 80, "xyxy", "rel_xyxy", image_shape=shape)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    levels = {"P3": np.zeros((2, 4), "float32"), "P4": np.ones((1, 4), "float32")}
    anchors = {"P3": ANCHORS, "P4": ANCHORS[:1]}
    found = OURS.decode_deltas_to_boxes(anchors, levels, "xyxy", "rel_xyxy", image_shape=shape)
    wanted = THEIRS.decode_deltas_to_boxes(anchors, levels, "xyxy", "rel_xyxy", image_shape=shape)
    for level in wanted:
        np.testing.assert_allclose(found[level], wanted[level], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("center", [{}, {"center_x": 0.2, "center_y": 0.9}], ids=["middle", "elsewhere"])
def test_affine_transformations(center):
    for angle, shift, scale, shear in itertools.product((0.0, 30.0, -120.0), (0.0, 0.3), (1.0, 1.5), (0.0, 7.0)):
        values = [np.array([v, v / 2], "float32") for v in (angle, shift, -shift, scale, shear, shear / 2)]
        ours = OURS.affine_transform(BOXES, *values, 64, 80, **center)
        theirs = THEIRS.affine_transform(BOXES, *values, 64, 80, **center)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-2)


def test_affine_transformations_of_relative_boxes():
    values = [np.array([v, v], "float32") for v in (30, 0.1, 0.2, 1.2, 3, 4)]
    sizes = np.array([80, 64, 80, 64], "float32")
    relative = OURS.affine_transform(BOXES / sizes, *values, 64, 80, bounding_box_format="rel_xyxy")
    np.testing.assert_allclose(relative * sizes, OURS.affine_transform(BOXES, *values, 64, 80), rtol=1e-4, atol=1e-3)


def test_bad_input():
    with pytest.raises(ValueError, match="center_xywh"):
        OURS.encode_box_to_deltas(ANCHORS, BOXES, "xyxy", "xyxy", "xyxy")
    with pytest.raises(ValueError, match="four numbers"):
        OURS.decode_deltas_to_boxes(ANCHORS, BOXES, "xyxy", "xyxy", variance=[1.0])
    with pytest.raises(ValueError, match="same keys"):
        OURS.decode_deltas_to_boxes({"a": ANCHORS}, BOXES, "xyxy", "xyxy")
