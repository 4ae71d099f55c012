"""Datasets of files without labels, and what is left to `tf.data`."""

import os
import wave

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat

Image = pytest.importorskip("PIL.Image", reason="needs pillow")


@pytest.fixture
def files(tmp_path):
    """Images, texts and sounds in the folder itself and in two below it."""
    for folder in ("", "a", "b"):
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        for i in range(3):
            Image.fromarray(np.full((4, 4, 3), 50 * len(folder) + 20 * i, "uint8")).save(where / f"{i}.png")
            (where / f"{i}.txt").write_text(f"{folder}{i}")
            with wave.open(str(where / f"{i}.wav"), "wb") as sound:
                sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(8000)
                sound.writeframes(bytes([0, i]) * 10)
    return tmp_path


KINDS = {
    "image_dataset_from_directory": {"image_size": (4, 4)},
    "text_dataset_from_directory": {},
    "audio_dataset_from_directory": {"output_sequence_length": 10},
}


@pytest.mark.parametrize("options", [{"label_mode": None}, {"labels": None}], ids=["mode", "labels"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_labels_all_files_are_taken(kind, options, files):
    pytest.importorskip("tensorflow", reason="the oracle needs TensorFlow")
    ours, theirs = (
        [np.asarray(batch) for batch in getattr(api.utils, kind)(
            str(files), shuffle=False, batch_size=4, verbose=False, **options, **KINDS[kind]
        )]
        for api in (compat, keras)
    )  # fmt: skip
    assert [b.shape for b in ours] == [b.shape for b in theirs]
    assert sum(len(b) for b in ours) == 9
    for mine, real in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, real)


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_classes_need_labels(kind, files):
    with pytest.raises(ValueError, match="class_names"):
        getattr(compat.utils, kind)(str(files), label_mode=None, class_names=["a"], **KINDS[kind])


def _dataset():
    x = np.arange(20, dtype="float32").reshape(10, 2)
    left, right = compat.utils.split_dataset((x, np.arange(10)), left_size=0.5)
    return left.concatenate(right)


def test_methods_of_tensorflow_alone_give_its_datasets():
    tf = pytest.importorskip("tensorflow")
    batches = _dataset().batch(4)
    assert batches.element_spec[0].shape.as_list() == [None, 2]
    assert int(batches.reduce(np.int64(0), lambda total, item: total + tf.reduce_sum(item[1]))) == 45
    assert [len(list(w)) for w in _dataset().window(4).map(lambda x, y: y)] == [4, 4, 2]
    texts = compat.utils.split_dataset(np.array([b"one", b"two"], object), left_size=1)[0].to_tensorflow()
    assert [t.numpy() for t in texts] == [b"one"]
    model = compat.Sequential([compat.Input((2,)), compat.layers.Dense(1)])
    model.compile("sgd", "mse")
    whole = batches.with_options(tf.data.Options())
    assert int(whole.cardinality()) == 3
    model.fit(whole, verbose=0)


def test_a_dataset_has_no_other_attributes():
    assert not hasattr(_dataset(), "shape")
    with pytest.raises(AttributeError, match="no attribute 'mapp'"):
        _dataset().mapp(abs)
    with pytest.raises(ValueError, match="no elements"):
        _dataset().take(0).to_tensorflow()
