"""Files that layers keep beside their weights, in Orbax checkpoints."""

import os

import numpy as np
import pytest

import compat
from compat.saving import assets, orbax

keras = pytest.importorskip("keras")
pytest.importorskip("orbax.checkpoint")
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:orbax"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
X = np.ones((4, 3), "float32")


def words_of(api):
    """A layer with a list of words, which it keeps in two files."""

    @api.saving.register_keras_serializable("orbax_assets", "Words")
    class Words(api.layers.Layer):
        def __init__(self, words=(), **kwargs):
            super().__init__(**kwargs)
            self.words = list(words)

        def call(self, x):
            return x

        def save_assets(self, folder):
            os.mkdir(os.path.join(folder, "inner"))
            for name in ("words.txt", os.path.join("inner", "again.txt")):
                with open(os.path.join(folder, name), "w") as file:
                    file.write("\n".join(self.words))

        def load_assets(self, folder):
            with open(os.path.join(folder, "words.txt")) as file:
                self.words = file.read().split("\n")

    return Words


def saved(api, path):
    model = api.Sequential([api.Input((3,)), words_of(api)(["a", "b"], name="w"), api.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = api.callbacks.OrbaxCheckpoint(str(path), save_on_background=False)
    model.fit(X, X[:, :1], verbose=0, callbacks=[callback])
    callback.wait_until_finished()
    return model


@pytest.mark.parametrize("writer", [compat, keras], ids=["ours", "theirs"])
def test_assets_are_read_back(writer, tmp_path):
    model = saved(writer, tmp_path / "o")
    words_of(compat)
    loaded = compat.saving.load_model(tmp_path / "o")
    assert loaded.layers[0].words == ["a", "b"]
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_keras_reads_ours(tmp_path):
    saved(compat, tmp_path / "o")
    words_of(keras)
    assert keras.saving.load_model(str(tmp_path / "o")).layers[0].words == ["a", "b"]


def test_the_size_is_looked_at_first(tmp_path, monkeypatch):
    saved(compat, tmp_path / "o")
    monkeypatch.setattr(orbax, "_MOST_ASSETS", 3)
    with pytest.raises(ValueError, match="6 bytes of assets"):
        compat.saving.load_model(tmp_path / "o")


@pytest.mark.parametrize("name", ["..", "", ".", "../evil", "/tmp/evil", "a\\b", "C:evil", "a\0b"])
def test_names_that_lead_out(name, tmp_path):
    """Asset traversal in Orbax checkpoints (Keras 3.14.0 to 3.15.0)."""
    (tmp_path / "inside").mkdir()
    for tree in ({name: np.zeros(3, "uint8")}, {"fine": {name: {"evil": np.zeros(3, "uint8")}}}):
        with pytest.raises(ValueError, match="leads out"):
            assets.write_arrays(tree, str(tmp_path / "inside"))
    assert os.listdir(tmp_path) == ["inside"]


def test_assets_are_bytes(tmp_path):
    saved(compat, tmp_path / "o")
    v1 = orbax.orbax("the test")
    parts = v1.load_checkpointables(orbax.latest(tmp_path / "o"))
    parts["assets"] = {"evil": np.zeros(3, "float32")}
    v1.save_checkpointables(tmp_path / "bad", parts)
    words_of(compat)
    with pytest.raises(ValueError, match="declares float32"):
        compat.saving.load_model(tmp_path / "bad")


@pytest.mark.parametrize("name", ["..", "../evil"])
def test_a_checkpoint_whose_assets_lead_out(name, tmp_path):
    saved(compat, tmp_path / "o")
    folder = orbax.latest(tmp_path / "o")
    v1 = orbax.orbax("the test")
    parts = v1.load_checkpointables(folder)
    parts["assets"] = {name: {"evil": np.zeros(3, "uint8")}}
    v1.save_checkpointables(tmp_path / "bad", parts)
    words_of(compat)
    with pytest.raises(ValueError, match="leads out"):
        compat.saving.load_model(tmp_path / "bad")
    assert sorted(os.listdir(tmp_path)) == ["bad", "o"]
