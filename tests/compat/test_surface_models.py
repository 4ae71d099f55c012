"""Models pickle and copy as Keras's do, and a list of one output is that output."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import copy
import pickle

import keras
import numpy as np
import pytest

import compat

X = np.random.RandomState(0).rand(8, 3).astype("float32")


class Twice(compat.layers.Layer):
    def call(self, x):
        return x * 2


def _trained(model):
    model.compile("adam", "mse")
    model.fit(X, np.zeros((8, 2)), verbose=0)
    return model


def _functional():
    x = compat.Input((3,))
    return compat.Model(x, compat.layers.Dense(2)(compat.layers.BatchNormalization()(x)), name="graph")


MODELS = {
    "functional": _functional,
    "sequential": lambda: compat.Sequential([compat.layers.Dense(2)]),
    "own": lambda: compat.Sequential([Twice(), compat.layers.Dense(2)]),
}


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
@pytest.mark.parametrize("name", MODELS)
def test_trained_models_go_on_from_a_copy(name, again):
    model = _trained(MODELS[name]())
    made = again(model)
    assert type(made) is type(model)
    assert made.name == model.name
    np.testing.assert_array_equal(made.predict(X, verbose=0), model.predict(X, verbose=0))
    y = np.ones((8, 2))
    ours, theirs = (m.fit(X, y, epochs=2, verbose=0, shuffle=False).history["loss"] for m in (made, model))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_deep_graphs_pickle():
    x = y = compat.Input((3,))
    for _ in range(300):
        y = compat.layers.ReLU()(y)
    model = compat.Model(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X, verbose=0), X)


def test_a_list_of_one_is_that_one():
    for api in (compat, keras):
        x = api.Input((3,))
        model = api.Model(x, [api.layers.Dense(2)(x)])
        assert model(X).shape == (8, 2)
        assert model.predict(X, verbose=0).shape == (8, 2)
        assert model.output_shape == (None, 2)
        assert isinstance(model.output, list)
        named = api.Input((3,), name="a")
        assert api.Model({"a": named}, api.layers.Dense(2)(named)).input_shape == (None, 3)


def test_functional_models_are_numbered_from_the_first():
    compat.utils.clear_session()
    assert compat.Model(*_ends()).name == "functional"
    assert compat.Model(*_ends()).name == "functional_1"


def _ends():
    x = compat.Input((3,))
    return x, compat.layers.Dense(2)(x)
