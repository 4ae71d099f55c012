"""What `train_step`, `test_step` and `predict_step` of a subclass are given as their data: what Keras gives them."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

import compat

tf = pytest.importorskip("tensorflow")
X = np.ones((4, 2), "float32")
W = np.ones(4, "float32")
ARRAYS = {
    "x": ((X,), {}),
    "x and y": ((X, X), {}),
    "weighted": ((X, X), {"sample_weight": W}),
    "a list": (([X, X],), {}),
    "a tuple": (((X, X),), {}),
    "a dict": (({"a": X},), {}),
    "a dict and y": (({"a": X}, X), {}),
}
STREAMS = {"bare": X, "a dict": {"a": X}, "x and y": (X, X), "inputs and y": ({"a": X}, X), "inputs": ((X, X),)}


def _model(api, seen, with_state):
    def told(data):
        seen.append(jax.tree.map(lambda x: tuple(x.shape), data))

    class Stateful(api.Model):
        def train_step(self, state, data):
            told(data)
            return {"loss": 0.0}, state

        def test_step(self, state, data):
            told(data)
            return {"loss": 0.0}, state

        def predict_step(self, state, data):
            told(data)
            return super().predict_step(state, data)

    class Assigning(compat.Model):  # the form that Keras has on its other backends
        def train_step(self, data):
            told(data)
            return {"loss": 0.0}

        def test_step(self, data):
            told(data)
            return {"loss": 0.0}

    class Called:
        def __init__(self):
            super().__init__()
            self.dense = api.layers.Dense(3)

        def call(self, x):
            return self.dense(jax.tree.leaves(x)[0])

    model = type("Net", (Called, Stateful if with_state else Assigning), {})()
    model.compile("sgd")
    return model


def _given(api, args, options, predicts, with_state=True):
    seen: list = []
    model = _model(api, seen, with_state)
    model.fit(*args, **options, shuffle=False, verbose=0)
    model.evaluate(*args, **options, verbose=0)
    if predicts:
        model.predict(args[0], verbose=0)
    return [given for i, given in enumerate(seen) if given not in seen[:i]]


@pytest.mark.parametrize("name", ARRAYS)
def test_of_arrays(name):
    args, options = ARRAYS[name]
    wanted = _given(keras, args, options, True)
    assert _given(compat, args, options, True) == wanted
    assert _given(compat, args, options, False, with_state=False)[0] == wanted[0]


@pytest.mark.parametrize("name", STREAMS)
def test_of_datasets(name):
    args = (tf.data.Dataset.from_tensor_slices(STREAMS[name]).batch(2),)
    assert _given(compat, args, {}, True) == _given(keras, args, {}, True)


@pytest.mark.parametrize("with_state", [True, False])
def test_a_batch_alone(with_state):
    seen: list = []
    model = _model(compat, seen, with_state)
    model.train_on_batch(X)
    model.test_on_batch(X)
    model.train_on_batch(X, X)
    assert [given for i, given in enumerate(seen) if given not in seen[:i]] == [(4, 2), ((4, 2), (4, 2))]


def test_a_step_uses_the_images_that_it_is_given():
    """The value that is logged is worked out by hand from them."""

    class Net(compat.Model):
        def __init__(self):
            super().__init__()
            self.dense = compat.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, state, images):
            return {"loss": compat.ops.mean(images[:, 1])}, state

    model = Net()
    model.compile("sgd")
    images = np.arange(8, dtype="float32").reshape(4, 2)
    assert model.fit(images, batch_size=4, verbose=0).history["loss"] == [4.0]
