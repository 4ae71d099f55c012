"""The random numbers of a model from a file go on where those of the saved one did."""

from __future__ import annotations

import json
import os
import zipfile

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat

L = compat.layers
X, Y = np.random.default_rng(0).normal(size=(8, 4)).astype("float32"), np.ones((8, 1), "float32")


@compat.saving.register_keras_serializable("saving_random")
class Noisy(L.Layer):
    """With generators of its own, one of them in a list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.source, self.others = compat.random.SeedGenerator(5), [compat.random.SeedGenerator(6)]

    def call(self, x):
        draws = [compat.random.uniform((1,), seed=source) for source in (self.source, *self.others)]
        return x * draws[0] * draws[1]


KINDS = {
    "dropout": lambda: [L.Dense(8), L.Dropout(0.5)],
    "dropout with a seed": lambda: [L.Dense(8), L.Dropout(0.5, seed=7)],
    "noise in a model inside": lambda: [L.Dense(8), compat.Sequential([L.GaussianNoise(0.5)])],
    "recurrent dropout": lambda: [L.Reshape((2, 2)), L.Bidirectional(L.GRU(3, dropout=0.5, recurrent_dropout=0.5))],
    "a layer of the user's": lambda: [Noisy()],
}


def made(layers, **kwargs):
    compat.utils.set_random_seed(3)
    model = compat.Sequential([compat.Input((4,)), *layers(), L.Dense(1)])
    model.compile("adam", "mse", **kwargs)
    return model


def losses(model, epochs=2):
    return model.fit(X, Y, epochs=epochs, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_from_a_file_trains_on_as_the_saved_one(kind, tmp_path):
    whole = losses(made(KINDS[kind]), 5)
    model = made(KINDS[kind])
    losses(model, 3)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(losses(compat.saving.load_model(tmp_path / "model.keras")), whole[3:])


def test_of_a_folder_and_of_eager_steps(tmp_path):
    model = made(KINDS["dropout"], run_eagerly=True)
    losses(model)
    model.save(tmp_path / "model", zipped=False)
    again = compat.saving.load_model(tmp_path / "model")
    np.testing.assert_array_equal(losses(again), losses(model))


def test_files_go_both_ways(tmp_path):
    """Keras reads a file with the states, and its own have none."""
    model = made(KINDS["dropout"])
    losses(model)
    model.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), model.predict(X, verbose=0), 1e-5, 1e-6)
    theirs.save(tmp_path / "theirs.keras")
    assert compat.saving.load_model(tmp_path / "theirs.keras").predict(X, verbose=0).shape == (8, 1)


def _with_streams(path, streams):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    members["metadata.json"] = json.dumps(metadata | {"random_streams": streams}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("streams", [{}, "x", [[1, -1]], [[1, 2**32]], [[1]], [[1, 2.5]], [[True, 1]], [1, 2]])
def test_states_that_are_none_are_refused(streams, tmp_path):
    path = tmp_path / "model.keras"
    made(KINDS["dropout"]).save(path)
    _with_streams(path, streams)
    with pytest.raises(ValueError, match="random_streams: expected pairs of 32-bit numbers"):
        compat.saving.load_model(path)


def test_states_of_another_number_of_generators_do_not_count(tmp_path):
    path = tmp_path / "model.keras"
    made(KINDS["dropout"]).save(path)
    _with_streams(path, [[1, 2], [3, 4]])
    with pytest.warns(UserWarning, match="has 1 random generators and the file 2"):
        compat.saving.load_model(path)
