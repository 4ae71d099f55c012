"""Pictures of images with boxes, masks and labels."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import sys

import keras
import numpy as np
import pytest

import compat
from kfun.errors import MissingExtraError

pytest.importorskip("matplotlib", reason="the extra `plot`").use("Agg")
from matplotlib import pyplot

V = compat.visualization
NAMES = {0: "cat", 1: "dog", 2: "ox"}


def _images(count=4):
    tiles = np.random.RandomState(0).randint(40, 255, (count, 4, 4, 3))
    return np.kron(tiles, np.ones((1, 16, 16, 1))).astype("uint8")


def _masks(count=4):
    masks = np.zeros((count, 64, 64, 1), "int32")
    masks[:, 10:30, 10:40], masks[:, 35:60, 20:50], masks[:, :8] = 1, 2, 255
    return masks


def _boxes(count=4):
    return {
        "boxes": np.tile([[[10.0, 12, 40, 30], [20, 40, 50, 60]]], (count, 1, 1)),
        "labels": np.tile([[0, 2]], (count, 1)),
    }


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 3, "ignore_index": 255},
        {"num_classes": 3, "blend": False, "color_mapping": {0: (1, 2, 3), 1: (255, 0, 0), 2: (0, 255, 0)}},
        {"num_classes": 3, "alpha": 0.3, "ignore_index": 0},
        {"num_classes": 2},
    ],
    ids=["ignored", "plain", "thin", "fewer"],
)
def test_masks_are_painted_as_keras_paints_them(options):
    if options == {"num_classes": 2}:
        options = {"num_classes": 2, "color_mapping": {0: (9, 9, 9), 1: (1, 200, 3)}}
    ours = V.draw_segmentation_masks(_images(), _masks(), **options)
    theirs = np.asarray(keras.visualization.draw_segmentation_masks(_images(), _masks(), **options))
    assert ours.dtype == np.uint8
    np.testing.assert_allclose(ours.astype(int), theirs.astype(int), atol=1)


def test_boxes_have_a_frame_and_a_name():
    images = np.zeros((1, 64, 64, 3), "uint8")
    boxes = {"boxes": [[[10.0, 30, 40, 50], [0, 0, 9, 9]]], "labels": [[1, -1]]}
    plain = V.draw_bounding_boxes(images, boxes, "xyxy", color=(255, 0, 9))
    assert (plain[0, 30, 10:41] == (255, 0, 9)).all()
    assert (plain[0, 30:51, 40] == (255, 0, 9)).all()
    assert not plain[0, 34:46, 14:36].any()
    assert not plain[0, :25].any()
    named = V.draw_bounding_boxes(images, boxes, "xyxy", class_mapping=NAMES, font_scale=0.6)
    assert named[0, :28].any()
    swapped = V.draw_bounding_boxes(
        images.transpose(0, 3, 1, 2), boxes, "xyxy", color=(255, 0, 9), data_format="channels_first"
    )
    np.testing.assert_array_equal(swapped.transpose(0, 2, 3, 1), plain)


def test_formats_of_boxes_agree():
    corners = V.draw_bounding_boxes(_images(), _boxes(), "xyxy")
    relative = {"boxes": _boxes()["boxes"] / 64, "labels": _boxes()["labels"]}
    np.testing.assert_array_equal(V.draw_bounding_boxes(_images(), relative, "rel_xyxy"), corners)


@pytest.fixture
def shown(monkeypatch):
    """Figures stay open, and are closed after the test."""
    close = pyplot.close
    monkeypatch.setattr(pyplot, "show", lambda: None)
    monkeypatch.setattr(pyplot, "close", lambda figure=None: None)
    yield lambda: [pyplot.figure(n) for n in pyplot.get_fignums()]
    close("all")


def _titles(figure):
    return [panel.get_title() for panel in figure.axes]


def test_a_gallery_has_keras_titles_and_size(shown):
    for api in (compat, keras):
        options = {
            "y_true": np.array([0, 1, 2, 0]),
            "y_pred": np.array([0, 2, 2, 1]),
            "label_map": NAMES,
            "rows": 2,
            "cols": 2,
        }
        api.visualization.plot_image_gallery(_images(), **options)
    ours, theirs = shown()
    assert (
        _titles(ours)
        == _titles(theirs)
        == ["Label: cat  Pred: cat", "Label: dog  Pred: ox", "Label: ox  Pred: ox", "Label: cat  Pred: dog"]
    )
    np.testing.assert_array_equal(ours.get_size_inches(), theirs.get_size_inches())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_every_image_has_a_place(shown, count):
    V.plot_image_gallery(_images(count) / 255.0, value_range=(0, 1))
    (figure,) = shown()
    assert sum(bool(panel.images) for panel in figure.axes) == count
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), _images(count)[0], atol=1)


def test_masks_stand_beside_their_images(shown):
    V.plot_segmentation_mask_gallery(_images(), 3, y_true=_masks(), y_pred=_masks(), scale=1)
    (figure,) = shown()
    assert len(figure.axes) == 12
    np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), _images()[1])
    np.testing.assert_array_equal(
        figure.axes[4].images[0].get_array(), V.draw_segmentation_masks(_images(), _masks(), 3)[1]
    )


def test_boxes_of_both_kinds_and_a_legend(shown):
    V.plot_bounding_box_gallery(
        _images(), "xyxy", y_true=_boxes(), y_pred=_boxes(), legend=True, class_mapping=NAMES, true_color=(1, 2, 3)
    )
    (figure,) = shown()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["Ground Truth", "Prediction"]
    pictures = np.stack([panel.images[0].get_array() for panel in figure.axes])
    assert (pictures == (255, 235, 59)).all(-1).any()


def test_a_file(tmp_path):
    V.plot_image_gallery(_images(), path=tmp_path / "g.png")
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: V.draw_bounding_boxes(_images()[0], _boxes(), "xyxy"), "expected a batch of images"),
        (lambda: V.draw_bounding_boxes(_images(), {"boxes": []}, "xyxy"), "'labels'"),
        (lambda: V.draw_bounding_boxes(_images(), _boxes(2), "xyxy"), r"expected boxes \[4, N, 4\]"),
        (lambda: V.draw_bounding_boxes(_images(), _boxes(), "xxyy"), "expected a format among"),
        (lambda: V.draw_bounding_boxes(_images(), _boxes(), "xyxy", color=(1, 2)), "three numbers"),
        (lambda: V.draw_segmentation_masks(_images(), _masks()[:, :3]), r"expected \(4, 64, 64\)"),
        (lambda: V.plot_image_gallery(_images(), path="a.png", show=True), "received both"),
        (lambda: V.plot_image_gallery(_images()[0]), "expected a batch"),
        (lambda: V.plot_image_gallery(_images(), value_range=(1, 1)), "value_range"),
        (lambda: V.plot_segmentation_mask_gallery(_images(), 3, rows=2), "a row for each"),
        (lambda: V.plot_bounding_box_gallery(_images(), "xyxy", legend=True, legend_handles=[]), "received both"),
    ],
    ids=[
        "single",
        "no_labels",
        "other_batch",
        "format",
        "colour",
        "mask_shape",
        "path_and_show",
        "one",
        "range",
        "rows",
        "legends",
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_masks_of_floats():
    with pytest.raises(TypeError, match="expected masks of integers"):
        V.draw_segmentation_masks(_images(), _masks().astype("float32"))


def test_missing_extras(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"kfun\[images\]"):
        V.draw_bounding_boxes(_images(), _boxes(), "xyxy")
