"""Images, sequences, labels, configs and the other small utilities give what Keras gives."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import inspect
import io
import sys

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import compat
from kfun.errors import MissingExtraError

Image = pytest.importorskip("PIL.Image", reason="needs pillow")
NAMES = [
    "array_to_img", "audio_dataset_from_directory", "get_file", "get_source_inputs", "image_dataset_from_directory",
    "img_to_array", "is_keras_tensor", "load_img", "normalize", "pack_x_y_sample_weight", "pad_sequences", "save_img",
    "split_dataset", "standardize_dtype", "text_dataset_from_directory", "timeseries_dataset_from_array",
    "to_categorical", "unpack_x_y_sample_weight", "PyDataset", "Sequence", "Config", "set_random_seed",
    "clear_session", "preprocessing.image.smart_resize", "preprocessing.image.load_img",
    "preprocessing.sequence.pad_sequences", "preprocessing.image_dataset_from_directory",
    "bounding_boxes.clip_to_image_size", "bounding_boxes.compute_ciou", "bounding_boxes.compute_iou",
    "bounding_boxes.convert_format", "bounding_boxes.crop", "bounding_boxes.pad",
]  # fmt: skip


def _get(api, path):
    found = api if path.startswith("preprocessing") else api.utils
    for name in path.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("path", NAMES)
def test_signatures_are_those_of_keras(path):
    def shown(function):
        return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]

    assert shown(_get(compat, path)) == shown(_get(keras, path))


def test_a_sequence_is_a_dataset():
    assert compat.utils.Sequence is compat.utils.PyDataset
    assert {"PyDataset", "Sequence", "get_file", "bounding_boxes"} <= set(dir(compat.utils))
    with pytest.raises(AttributeError, match="did you mean 'pad_sequences'"):
        compat.utils.pad_sequence  # noqa: B018


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "i.png"
    Image.fromarray((np.arange(162) * 5 % 256).astype("uint8").reshape(6, 9, 3)).save(path)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {}, {"color_mode": "grayscale"}, {"color_mode": "rgba"}, {"target_size": (4, 4)},
        {"target_size": (4, 4), "interpolation": "lanczos"}, {"target_size": (4, 5), "keep_aspect_ratio": True},
        {"target_size": (12, 5), "keep_aspect_ratio": True, "interpolation": "bilinear"},
    ],
)  # fmt: skip
def test_images_of_files(options, picture):
    theirs, ours = keras.utils.load_img(picture, **options), compat.utils.load_img(picture, **options)
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
    for order in ("channels_last", "channels_first"):
        a, b = (api.utils.img_to_array(i, data_format=order) for api, i in ((keras, theirs), (compat, ours)))
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_deep_images_and_files_in_memory(tmp_path, picture):
    Image.fromarray((np.arange(54) * 1000).astype("uint16").reshape(6, 9)).save(tmp_path / "g.png")
    for mode in ("grayscale", "rgb"):
        arrays = [api.utils.img_to_array(api.utils.load_img(tmp_path / "g.png", mode)) for api in (keras, compat)]
        np.testing.assert_array_equal(*arrays)
    memory = io.BytesIO(picture.read_bytes())
    assert compat.utils.load_img(memory).size == (9, 6)
    for wrong, error in (({"color_mode": "x"}, ValueError), ({"interpolation": "x"}, ValueError)):
        with pytest.raises(error, match="x"):
            compat.utils.load_img(picture, **wrong)
    with pytest.raises(TypeError, match="int"):
        compat.utils.load_img(3)


A = np.random.default_rng(0).normal(size=(4, 5, 3))


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (A, {}), (np.abs(A) * 9, {"scale": False}), (A[..., :1], {}), (np.zeros((2, 2, 3)), {}),
        (A.transpose(2, 0, 1), {"data_format": "channels_first"}), (np.concatenate([A, A[..., :1]], -1), {}),
        (np.abs(A[..., :1]) * 900, {"scale": False}),
        (A.tolist(), {"dtype": "float64"}),
    ],
)  # fmt: skip
def test_arrays_as_images(x, options, tmp_path):
    with np.errstate(invalid="ignore"):
        theirs, ours = keras.utils.array_to_img(x, **options), compat.utils.array_to_img(x, **options)
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_images_are_saved(tmp_path):
    compat.utils.save_img(tmp_path / "a.png", A)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.asarray(compat.utils.array_to_img(A)))
    compat.utils.save_img(tmp_path / "b", np.concatenate([A, A[..., :1]], -1), file_format="jpg", quality=50)
    with Image.open(tmp_path / "b") as img:
        assert (img.format, img.mode) == ("JPEG", "RGB")
    compat.utils.save_img(tmp_path / "c.JPG", np.concatenate([A, A[..., :1]], -1))
    with Image.open(tmp_path / "c.JPG") as img:
        assert (img.format, img.mode) == ("JPEG", "RGB")
    for wrong in (A[0], A[..., :2]):
        with pytest.raises(ValueError, match=r"axes|channels"):
            compat.utils.array_to_img(wrong)
    with pytest.raises(ValueError, match="data_format"):
        compat.utils.img_to_array(A, data_format="last")
    with pytest.raises(ValueError, match="2 or 3 axes"):
        compat.utils.img_to_array(A[0, 0])


@pytest.mark.parametrize("size", [(4, 4), (3, 7), (12, 5)])
def test_smart_resize(size):
    x = A.astype("float32")
    theirs, ours = (api.preprocessing.image.smart_resize(x, size) for api in (keras, compat))
    assert type(ours) is np.ndarray
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    tensor = compat.preprocessing.image.smart_resize(jnp.asarray(x)[None], size)
    np.testing.assert_allclose(tensor[0], theirs, rtol=1e-4, atol=1e-5)


def test_without_pillow(monkeypatch, picture):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"kfun\[images\]"):
        compat.utils.load_img(picture)


@pytest.mark.parametrize(
    ("sequences", "options"),
    [
        ([[1, 2], [3], [4, 5, 6]], {}), ([[1, 2], [3]], {"maxlen": 3, "value": 1.5, "dtype": "float32"}),
        ([[1, 2, 3], [4]], {"maxlen": 2, "truncating": "post", "padding": "post"}), ([[], [1]], {}),
        ([[1, 2, 3], [4]], {"maxlen": 2}), ([["a"], ["b", "c"]], {"dtype": object, "value": "p"}),
        ([[[1, 2]], [[3, 4], [5, 6]]], {}), ([np.arange(3), np.arange(5)], {"padding": "post"}),
    ],
)  # fmt: skip
def test_padded_sequences(sequences, options):
    theirs, ours = (api.utils.pad_sequences(sequences, **options) for api in (keras, compat))
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((3,), "list of sequences"), (([1, 2],), "sequence 0 is no sequence"),
        (([[1]], None, "int32", "left"), "padding"), (([[1]], None, "int32", "pre", "left"), "truncating"),
        (([["a"]], None, "int32", "pre", "pre", "p"), "dtype=object"), (([[[1, 2]], [[1, 2, 3]]],), "sequence 1"),
    ],
)  # fmt: skip
def test_sequences_that_cannot_be_padded(args, message):
    with pytest.raises(ValueError, match=message):
        compat.utils.pad_sequences(*args)


def test_labels_and_norms():
    for x, options in (([1, 2], {}), (np.array([[1], [2]]), {}), ([[0, 1], [2, 1]], {"num_classes": 5})):
        theirs, ours = (api.utils.to_categorical(x, **options) for api in (keras, compat))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(IndexError, match="classes 5 to 5"):
        compat.utils.to_categorical([5], 3)
    assert compat.utils.to_categorical(jnp.array([1, 0]), 2).tolist() == [[0, 1], [1, 0]]
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    for options in ({}, {"order": 1}):
        theirs = keras.utils.normalize(x, **options)
        np.testing.assert_allclose(compat.utils.normalize(x, **options), theirs, rtol=1e-6)
        np.testing.assert_allclose(compat.utils.normalize(jnp.asarray(x), **options), theirs, rtol=1e-6)


def test_batches_packed_and_unpacked():
    for api in (keras, compat):
        pack, unpack = api.utils.pack_x_y_sample_weight, api.utils.unpack_x_y_sample_weight
        assert [pack(1), pack([1]), pack(1, 2), pack(1, 2, 3)] == [1, ([1],), (1, 2), (1, 2, 3)]
        assert [unpack((1,)), unpack([1, 2]), unpack(5)] == [(1, None, None), (1, 2, None), (5, None, None)]
        with pytest.raises(ValueError, match="x"):
            unpack((1, 2, 3, 4))


def test_source_inputs():
    a, b = compat.Input((2,)), compat.Input((2,))
    c = compat.layers.Dense(2)(a)
    assert compat.utils.get_source_inputs(c + b) == [a, b]
    assert compat.utils.get_source_inputs(c * c) == [a]
    assert compat.utils.is_keras_tensor(c)
    assert not compat.utils.is_keras_tensor(np.ones(2))
    assert compat.utils.standardize_dtype(np.float16) == "float16"
    with pytest.raises(ValueError, match="symbolic"):
        compat.utils.get_source_inputs(np.ones(2))


def test_configs():
    for api in (keras, compat):
        config = api.utils.Config(rate=1)
        config.b, config["c"] = [1, 2], None
        assert (config.rate, config["b"], config.get("z", 3), len(config), "c" in config) == (1, [1, 2], 3, 3, True)
        assert config.to_json() == '{"rate": 1, "b": [1, 2], "c": null}'
        assert config.as_dict() == dict(config.items()) == {"rate": 1, "b": [1, 2], "c": None}
        assert (list(config), config.pop("c"), repr(config)) == (
            ["b", "c", "rate"],
            None,
            "<Config {'rate': 1, 'b': [1, 2]}>",
        )
        config.freeze()
        for change in (
            lambda c=config: setattr(c, "x", 1),
            lambda c=config: c.update({"a": 1}),
            lambda c=config: c.pop("b"),
        ):
            with pytest.raises(ValueError, match="frozen"):
                change()
        with pytest.raises(AttributeError, match="zz"):
            config.zz  # noqa: B018
        with pytest.raises(KeyError):
            config["zz"]
        config.unfreeze()
        config.update({"q": 1})
        assert (config.q, config.frozen) == (1, False)
