"""`RNN` over cells that a user wrote, alone and stacked, beside real Keras; states, seeds and what is refused."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import pytest

import compat
from tests.compat.test_layers_keras import same, x_of

L = compat.layers


def cells(api):
    """`(Plain, Pair)`: a cell of one state, and one of two with states, an output size and dropout of its own."""

    class Plain(api.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform", name="w")
            self.u = self.add_weight(shape=(self.units, self.units), initializer="orthogonal", name="u")

        def call(self, x, states):
            h = api.ops.tanh(api.ops.matmul(x, self.w) + api.ops.matmul(states[0], self.u))
            return h, [h]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    class Pair(api.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.output_size = units
            self.state_size = [units, units]
            self.drop = api.layers.Dropout(0.5, seed=3)

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform", name="w")

        def get_initial_state(self, batch_size=None):
            return [api.ops.ones((batch_size, self.units)), api.ops.zeros((batch_size, self.units))]

        def call(self, x, states, training=False):
            h, c = states
            c = 0.5 * c + api.ops.matmul(self.drop(x, training=training), self.w)
            h = api.ops.tanh(c + h)
            return h, [h, c]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Plain, Pair


def alone(api):
    return api.layers.RNN(cells(api)[0](4), return_state=True, return_sequences=True)


def with_states(api):
    return api.layers.RNN(cells(api)[1](3), return_state=True)


def mixed(api):
    plain, pair = cells(api)
    return api.layers.RNN([plain(4), pair(3), api.layers.LSTMCell(2)], return_state=True)


def unrolled(api):
    plain, pair = cells(api)
    return api.layers.RNN(api.layers.StackedRNNCells([pair(2), plain(3)]), go_backwards=True, unroll=True)


MAKERS = {f.__name__: f for f in (alone, with_states, mixed, unrolled)}


def pair_of(name):
    made = []
    for api in (keras, compat):
        api.backend.clear_session()
        layer = MAKERS[name](api)
        layer(x_of(2, 5, 3))
        made.append(layer)
    theirs, ours = made
    assert [(v.path, tuple(v.shape)) for v in ours.weights] == [(v.path, tuple(v.shape)) for v in theirs.weights]
    ours.set_weights(theirs.get_weights())
    return theirs, ours


@pytest.mark.parametrize("name", MAKERS)
def test_same_as_keras(name):
    theirs, ours = pair_of(name)
    x, mask = x_of(2, 5, 3), np.array([[1, 1, 0, 1, 0], [1, 0, 0, 1, 1]], bool)
    same(ours(x), theirs(x))
    assert ours.state_size == theirs.state_size
    same(ours.get_initial_state(2), theirs.get_initial_state(2))
    if name != "mixed":  # Keras's loop cannot mask a stack whose last cell has one state
        same(ours(x, mask=mask), theirs(x, mask=mask))
    states = theirs(x, training=False)[1:] if theirs.return_state else theirs.get_initial_state(2)
    same(ours(x, initial_state=list(states)), theirs(x, initial_state=list(states)))


@pytest.mark.parametrize("name", MAKERS)
def test_files_and_training(name, tmp_path):
    _, ours = pair_of(name)
    inputs = compat.Input((5, 3))
    model = compat.Model(inputs, jax.tree.leaves(ours(inputs))[0])
    model.compile("adam", "mse")
    x = x_of(6, 5, 3)
    losses = model.fit(x, np.zeros(model.predict(x, verbose=0).shape), epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    classes = {c.__name__: c for c in cells(compat)}
    same(compat.models.load_model(tmp_path / "model.keras", custom_objects=classes).predict(x, verbose=0), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    theirs = MAKERS[name](keras)
    inputs = keras.Input((5, 3))
    theirs = keras.Model(inputs, jax.tree.leaves(theirs(inputs))[0])
    theirs.load_weights(tmp_path / "model.weights.h5")
    same(theirs.predict(x, verbose=0), expected)


def test_dropout_inside_of_a_cell_draws_anew_at_each_call():
    layer, x = L.RNN(cells(compat)[1](3)), x_of(2, 5, 3)
    layer(x)
    seed = layer.cell.drop.seed_generator.state
    first, second = layer(x, training=True), layer(x, training=True)
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 1e-3
    assert seed.numpy().tolist() == [3, 2]
    inputs = compat.Input((5, 3))
    model = compat.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((2, 3)), epochs=2, verbose=0)
    assert seed.numpy().tolist() == [3, 4]


def test_a_plain_object_is_a_cell():
    class Sum:
        state_size = 3

        def call(self, x, states):
            h = x + states[0]
            return h, [h]

    x = x_of(2, 5, 3)
    np.testing.assert_allclose(L.RNN(Sum())(x), x.sum(1), rtol=1e-5)


def test_a_variable_that_changes_in_the_loop_is_refused():
    class Counting(cells(compat)[0]):
        def build(self, shape):
            super().build(shape)
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

        def call(self, x, states):
            self.count.assign(self.count + 1.0)
            return super().call(x, states)

    with pytest.raises(ValueError, match=r"the cell Counting 'counting.*changes the variable .*count' in a step"):
        L.RNN(Counting(3))(x_of(2, 5, 3))


@pytest.mark.parametrize("make", [lambda: L.LSTM(3, stateful=True), lambda: L.ConvLSTM1D(3, 2, stateful=True)])
def test_kept_states_are_no_weights(make):
    layer, x = make(), x_of(*((2, 5, 3) if "Conv" not in type(make()).__name__ else (2, 3, 5, 3)))
    first = np.asarray(layer(x))
    assert (len(layer.weights), len(layer.states)) == (3, 2)
    assert np.abs(np.asarray(layer(x)) - first).max() > 1e-4
    layer.reset_state()
    np.testing.assert_array_equal(np.asarray(layer(x)), first)


def test_kept_states_of_a_stack_are_nested():
    layer = L.RNN([L.LSTMCell(3), L.GRUCell(2)], stateful=True)
    layer(x_of(2, 5, 3))
    assert [[v.shape for v in states] for states in layer.states] == [[(2, 3), (2, 3)], [(2, 2)]]
    layer.reset_states()


WRONG = [
    (lambda: L.RNN(3), ValueError, "lacks call and state_size"),
    (lambda: L.RNN(L.Dense(3)), ValueError, "lacks state_size"),
    (lambda: L.StackedRNNCells([]), ValueError, "expected one cell or more"),
    (lambda: L.GRU(3, use_cudnn="yes"), ValueError, "expected 'auto', True or False; received 'yes'"),
    (lambda: L.SpectralNormalization(L.Dense(2), 0), ValueError, "1 or more `power_iterations`"),
    (lambda: L.SpectralNormalization(L.ReLU())(x_of(2, 3)), ValueError, "neither a .kernel. nor .embeddings."),
    (lambda: L.Embedding(3, 2, weights=[x_of(2, 2)]), ValueError, r"has shape \(3, 2\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG, ids=[message[:30] for *_, message in WRONG])
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_wrappers_hand_random_keys_on():
    """Dropout within wrappers draws in training."""
    x = np.ones((2, 5, 3), "float32")
    for layer in (
        L.TimeDistributed(L.Dropout(0.5, seed=1)),
        L.Bidirectional(L.LSTM(3, dropout=0.5, seed=1)),
        L.SpectralNormalization(L.TimeDistributed(L.Dense(3)).layer),
    ):
        assert np.isfinite(np.asarray(layer(x, training=True))).all()
