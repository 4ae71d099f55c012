"""Datasets from directories and arrays: Keras's batches in Keras's order, without TensorFlow."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import random
import subprocess
import sys

import keras
import numpy as np
import pytest

import compat

Image = pytest.importorskip("PIL.Image", reason="needs pillow")
needs_tf = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def tensorflow():
    return pytest.importorskip("tensorflow", reason="the oracle needs TensorFlow")


@pytest.fixture(autouse=True)
def seeded():
    """The seed that is mixed into those of shuffles, in both libraries, whatever ran before."""
    keras.utils.set_random_seed(4)
    compat.utils.set_random_seed(4)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images whose pixels tell their number, in three classes, some of them in sub-directories."""
    root = tmp_path_factory.mktemp("images")
    for number, (name, i) in enumerate((c, i) for c in "bac" for i in range(7)):
        folder = root / name / ("inner" if i == 3 else "")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5, 3), number, "uint8")).save(folder / f"{i}.png")
    (root / "a" / "note.txt").write_text("no image")
    return root


def _plain(batch):
    parts = batch if isinstance(batch, tuple) else (batch,)
    return [np.asarray(p) for p in parts]


def _assert_same(ours, theirs, **tolerance):
    ours, theirs = list(map(_plain, ours)), list(map(_plain, theirs))
    assert len(ours) == len(theirs) > 0
    for mine, kerass in zip(ours, theirs, strict=True):
        assert len(mine) == len(kerass)
        for a, b in zip(mine, kerass, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, **tolerance) if a.dtype.kind == "f" else np.testing.assert_array_equal(
                a, b
            )


IMAGE_CASES = {
    "in order": {"shuffle": False},
    "a seed": {"seed": 5},
    "a buffer smaller than the files": {"seed": 5, "batch_size": 1},
    "no batches": {"seed": 5, "batch_size": None},
    "training": {"seed": 5, "validation_split": 0.3, "subset": "training"},
    "validation": {"seed": 5, "validation_split": 0.3, "subset": "validation"},
    "split in order": {"shuffle": False, "validation_split": 0.3, "subset": "training"},
    "binary": {"label_mode": "binary", "class_names": ["c", "a"], "shuffle": False},
    "categorical": {"label_mode": "categorical", "seed": 1},
    "no labels": {"labels": None, "label_mode": None, "seed": 2},
    "own labels": {"labels": list(range(21)), "shuffle": False},
    "channels first": {"data_format": "channels_first", "shuffle": False},
}


@needs_tf
@pytest.mark.parametrize("name", IMAGE_CASES)
def test_images_come_in_keras_order(name, images):
    options = {"image_size": (4, 5), "batch_size": 4, "verbose": False, **IMAGE_CASES[name]}
    theirs = keras.utils.image_dataset_from_directory(images, **options)
    ours = compat.utils.image_dataset_from_directory(images, **options)
    assert ours.class_names == theirs.class_names
    assert ours.file_paths == theirs.file_paths
    assert int(ours.cardinality()) == len(ours) == int(theirs.cardinality())
    for _ in range(2):  # another order the second time
        _assert_same(ours, theirs)


@needs_tf
def test_seeds_of_the_process_and_both_subsets(images):
    found = []
    for api in (keras, compat):
        api.utils.set_random_seed(9)
        options = {"image_size": (4, 5), "verbose": False}
        plain = api.utils.image_dataset_from_directory(images, batch_size=4, **options)
        both = api.utils.image_dataset_from_directory(
            images, batch_size=4, seed=3, validation_split=0.3, subset="both", **options
        )
        found.append([list(plain), list(both[0]), list(both[1])])
    for theirs, ours in zip(*found, strict=True):
        _assert_same(ours, theirs)


@needs_tf
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("fit", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
def test_images_are_resized_as_by_keras(interpolation, fit, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "a").mkdir()
    for name, shape in (("x", (23, 31, 3)), ("y", (40, 31, 4)), ("z", (9, 7, 3))):
        Image.fromarray(rng.integers(0, 256, shape).astype("uint8")).save(tmp_path / "a" / f"{name}.png")
    options = {"image_size": (12, 17), "shuffle": False, "verbose": False, "interpolation": interpolation, **fit}
    theirs = keras.utils.image_dataset_from_directory(tmp_path, **options)
    ours = compat.utils.image_dataset_from_directory(tmp_path, **options)
    # TensorFlow's bicubic takes its weights from a table of 1024 places.
    _assert_same(ours, theirs, rtol=0, atol=0.3 if interpolation == "bicubic" else 1e-3)


@needs_tf
@pytest.mark.parametrize("mode", ["grayscale", "rgba"])
def test_colours(mode, tmp_path):
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "a" / "x.png")
    options = {"image_size": (8, 8), "shuffle": False, "verbose": False, "color_mode": mode}
    ours = compat.utils.image_dataset_from_directory(tmp_path, **options)
    _assert_same(ours, keras.utils.image_dataset_from_directory(tmp_path, **options), atol=1, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": [1, 2]}, "2 labels for 21 files"), ({"labels": "zz"}, "labels"),
        ({"label_mode": "x"}, "label_mode"),
        ({"validation_split": 0.2}, "need each other"), ({"subset": "training"}, "need each other"),
        ({"validation_split": 0.2, "subset": "training"}, "needs a seed"),
        ({"validation_split": 2, "subset": "training", "seed": 1}, "between 0 and 1"),
        ({"validation_split": 0.2, "subset": "zz", "seed": 1}, "subset"), ({"class_names": ["a", "z"]}, "class_names"),
        ({"label_mode": "binary"}, "exactly 2 classes"), ({"color_mode": "z"}, "color_mode"),
        ({"interpolation": "z"}, "interpolation"), ({"format": "z"}, "format"), ({"image_size": 5}, "image_size"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "exclude"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_told(options, message, images):
    with pytest.raises(ValueError, match=message):
        compat.utils.image_dataset_from_directory(images, verbose=False, **options)


def test_directories_without_files_or_none(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="no image files"):
        compat.utils.image_dataset_from_directory(tmp_path, verbose=False)
    with pytest.raises(FileNotFoundError):
        compat.utils.image_dataset_from_directory(tmp_path / "b")


@needs_tf
@pytest.mark.parametrize("options", [{"shuffle": False}, {"seed": 1, "max_length": 3}, {"seed": 1, "batch_size": None}])
def test_texts(options, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f"{i}.txt").write_text(f"{name}é{i}", encoding="utf-8")
    options = {"batch_size": 3, "verbose": False, **options}
    theirs = keras.utils.text_dataset_from_directory(tmp_path, **options)
    ours = compat.utils.text_dataset_from_directory(tmp_path, **options)
    for (a, x), (b, y) in zip(ours, theirs, strict=True):
        assert np.asarray(a).tolist() == np.asarray(b.numpy(), object).tolist()
        np.testing.assert_array_equal(x, y)


@needs_tf
@pytest.mark.parametrize(
    "options", [{"shuffle": False}, {"seed": 1, "output_sequence_length": 12}, {"batch_size": None}]
)
def test_sounds(options, tmp_path):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            wavfile.write(tmp_path / name / f"{i}.wav", 8000, (np.arange(10 + 3 * i) * 100).astype("int16"))
    options = {"batch_size": 4, "verbose": False, "shuffle": "seed" in options, **options}
    ours = compat.utils.audio_dataset_from_directory(tmp_path, **options)
    _assert_same(ours, keras.utils.audio_dataset_from_directory(tmp_path, **options), rtol=1e-6)
    ragged = compat.utils.audio_dataset_from_directory(tmp_path, ragged=True, shuffle=False, verbose=False)
    assert [s.shape for s in next(iter(ragged))[0]] == [(10, 1), (13, 1), (16, 1)] * 2
    half = compat.utils.audio_dataset_from_directory(tmp_path, sampling_rate=4000, shuffle=False, verbose=False)
    assert next(iter(half))[0].shape == (6, 8, 1)


SERIES = np.arange(30.0)
SERIES_CASES = [
    ((SERIES, SERIES, 4), {"batch_size": 5}),
    ((SERIES, None, 4), {"sequence_stride": 2, "sampling_rate": 3, "start_index": 3, "end_index": 25, "batch_size": 5}),
    ((SERIES, SERIES[:10], 4), {"shuffle": True, "seed": 3, "batch_size": 3}),
    ((SERIES.reshape(-1, 2), np.arange(15), 3), {"shuffle": True, "seed": 1, "batch_size": 5}),
    ((SERIES, SERIES, 4), {"batch_size": None, "shuffle": True, "seed": 7}),
]


@needs_tf
@pytest.mark.parametrize("case", range(len(SERIES_CASES)))
def test_windows_of_series(case):
    args, options = SERIES_CASES[case]
    theirs = keras.utils.timeseries_dataset_from_array(*args, **options)
    ours = compat.utils.timeseries_dataset_from_array(*args, **options)
    for _ in range(2):
        _assert_same(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"sequence_length": 0}, {"sampling_rate": 0}, {"sequence_stride": 40}, {"start_index": 40}, {"end_index": 40},
        {"start_index": -1}, {"start_index": 5, "end_index": 3},
    ],
)  # fmt: skip
def test_windows_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(reversed(options)))):
        compat.utils.timeseries_dataset_from_array(SERIES, None, **{"sequence_length": 3, **options})


@pytest.mark.parametrize("seed", [1, 6])
def test_grain_datasets_have_keras_order(seed, images):
    pytest.importorskip("grain", reason="needs grain")
    options = {"image_size": (4, 5), "batch_size": 4, "verbose": False, "seed": seed, "format": "grain"}
    theirs = keras.utils.image_dataset_from_directory(images, **options)
    ours = compat.utils.image_dataset_from_directory(images, **options)
    assert type(ours) is type(theirs)
    assert ours.class_names == theirs.class_names
    _assert_same(ours, theirs)


@needs_tf
@pytest.mark.parametrize(
    "options",
    [
        {"left_size": 0.5}, {"right_size": 0.3, "shuffle": True, "seed": 3}, {"left_size": 3, "right_size": 4},
        {"left_size": 0.3, "right_size": 0.2, "shuffle": True, "seed": 1}, {"left_size": 3, "shuffle": True},
    ],
)  # fmt: skip
def test_splits(options):
    for data in (np.arange(10), (np.arange(10), np.arange(10) * 2.0)):
        random.seed(4)
        theirs = keras.utils.split_dataset(data, **options)
        random.seed(4)
        ours = compat.utils.split_dataset(data, **options)
        for mine, kerass in zip(ours, theirs, strict=True):
            _assert_same(mine, kerass)
            assert int(mine.cardinality()) == int(kerass.cardinality())


def test_splits_of_datasets_keep_their_library():
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    tf = pytest.importorskip("tensorflow", reason="needs the extra tensorflow")
    left, right = compat.utils.split_dataset(torch.utils.data.TensorDataset(torch.arange(10)), right_size=0.3)
    assert isinstance(left, torch.utils.data.Dataset)
    assert [len(left), len(right)] == [7, 3]
    left, right = compat.utils.split_dataset(tf.data.Dataset.range(10).batch(5), left_size=0.5)
    assert [x.numpy().tolist() for x in right] == [[5, 6, 7, 8, 9]]
    for bad in ({}, {"left_size": 1.5}, {"left_size": 11}, {"left_size": 0.9, "right_size": 0.9}, {"left_size": 0.01}):
        with pytest.raises(ValueError, match=r"size|samples"):
            compat.utils.split_dataset(np.arange(10), **bad)
    with pytest.raises(TypeError, match="float"):
        compat.utils.split_dataset(np.arange(10), left_size="a")
    with pytest.raises(TypeError, match="dict"):
        compat.utils.split_dataset({"a": 1}, left_size=0.5)


def test_methods_of_datasets(images):
    data = compat.utils.image_dataset_from_directory(
        images, image_size=(4, 5), batch_size=4, shuffle=False, verbose=False
    )
    numbers = data.map(lambda x, y: (x[:, 0, 0, 0], y), num_parallel_calls=-1).prefetch(-1).cache()
    flat = [int(n) for x, _ in numbers for n in x.numpy()]
    assert [int(n) for x, _ in numbers for n in x] == flat  # from memory
    rows = numbers.unbatch().map(lambda x, y: x)
    assert [int(r) for r in rows.take(3)] == flat[:3]
    assert [len(x) for x in rows.batch(8)] == [8, 8, 5]
    assert [len(x) for x in rows.batch(8, drop_remainder=True)] == [8, 8]
    assert [int(n) for n in rows.filter(lambda x: x > 17)] == [n for n in flat if n > 17]
    assert [len(numbers.skip(2)), len(numbers.take(2)), len(numbers.repeat(3)), len(numbers.concatenate(numbers))] == [
        4, 2, 18, 12,
    ]  # fmt: skip
    assert int(numbers.repeat().cardinality()) == -1
    assert int(rows.cardinality()) == -2
    assert [int(i) for i, _ in numbers.enumerate()] == list(range(6))
    assert sorted(int(r) for r in rows.shuffle(30, seed=1)) == sorted(flat)
    assert isinstance(next(data.as_numpy_iterator())[0], np.ndarray)
    with pytest.raises(TypeError, match="endless"):
        len(numbers.repeat())


@needs_tf
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")  # Keras's
def test_training_from_a_directory_is_that_of_keras(images):
    losses = []
    for api in (keras, compat):
        api.utils.set_random_seed(2)
        data = api.utils.image_dataset_from_directory(images, image_size=(4, 5), batch_size=4, verbose=False)
        model = api.Sequential([
            api.Input((4, 5, 3)), api.layers.Rescaling(1 / 255), api.layers.Flatten(),
            api.layers.Dense(3, activation="softmax"),
        ])  # fmt: skip
        model.compile("adam", "sparse_categorical_crossentropy")
        losses.append(model.fit(data, epochs=3, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_no_tensorflow_is_imported(images):
    code = (
        "import sys, compat\n"
        f"d = compat.utils.image_dataset_from_directory({str(images)!r}, image_size=(4, 5), seed=1)\n"
        "next(iter(d)); compat.preprocessing.image.load_img; compat.datasets.mnist\n"
        "print([m for m in ('tensorflow', 'torch', 'keras', 'grain', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Found 21 files belonging to 3 classes.", "[]"]
