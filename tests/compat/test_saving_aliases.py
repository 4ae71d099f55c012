"""Weights of an object that stands in the file by another of its names."""

import numpy as np
import pytest

import compat as keras

real = pytest.importorskip("keras")
X = np.ones((2, 2), "float32")


def models_of(api):
    """A model with a block as `block`, and one that has it as `a_block` and, by a property, as `block`."""
    layers = api.layers

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    class Normal(api.Model):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def call(self, x):
            return self.block(x)

    class Aliased(api.Model):
        def __init__(self):
            super().__init__()
            self.a_block = Block()

        @property
        def block(self):
            return self.a_block

        def call(self, x):
            return self.block(x)

    return Normal(), Aliased()


@pytest.mark.parametrize("shards", [None, 1.0], ids=["file", "shards"])
@pytest.mark.parametrize("writer", [keras, real], ids=["ours", "theirs"])
def test_a_property_may_be_the_name_in_the_file(writer, shards, tmp_path):
    path = tmp_path / ("m.weights.json" if shards else "m.weights.h5")
    normal = models_of(writer)[0]
    expected = np.asarray(normal(X))
    normal.save_weights(path, max_shard_size=shards)
    for reader in (keras, real):
        aliased = models_of(reader)[1]
        aliased(X)
        aliased.load_weights(path)
        np.testing.assert_allclose(np.asarray(aliased(X)), expected, rtol=1e-6)


def test_what_has_no_name_in_the_file_is_an_error(tmp_path):
    normal, aliased = models_of(keras)
    normal(X)
    aliased(X)
    aliased.a_block.other = keras.layers.Dense(1)
    aliased.a_block.other(X)
    normal.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"Dense .* at 'a_block/other'"):
        aliased.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="not loaded"):
        aliased.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)


def test_all_names_are_found():
    from compat.saving import stores

    _, aliased = models_of(keras)
    aliased(X)
    paths = stores._all_paths(aliased)
    assert {"a_block", "block"} <= set(paths[id(aliased.a_block)])
    assert {"a_block/dense", "block/dense"} <= set(paths[id(aliased.a_block.dense)])
