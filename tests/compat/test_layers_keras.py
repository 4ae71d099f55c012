"""Layers of compat beside real Keras's: arguments, weights, configs, outputs, files both ways."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import pytest

import compat

SEED = 3


def x_of(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def tokens(*shape):
    return np.random.default_rng(0).integers(0, 7, size=shape).astype("int32")


def adaptive_average(L):
    return L.AdaptiveAveragePooling2D((2, 3), "channels_first"), x_of(2, 4, 6, 5)


def adaptive_max(L):
    return L.AdaptiveMaxPooling3D(2), x_of(2, 4, 5, 3, 2)


def adaptive_max_list(L):
    return L.AdaptiveMaxPooling1D([3]), x_of(2, 7, 4)


def conv_lstm(L):
    return L.ConvLSTM1D(3, 2, return_sequences=True, kernel_regularizer="l2", seed=SEED, dropout=0.3), x_of(2, 4, 6, 3)


def conv_lstm_options(L):
    layer = L.ConvLSTM2D(2, (2, 3), 2, "same", "channels_first", activation="relu", go_backwards=True, unroll=True)
    return layer, x_of(2, 3, 2, 5, 6)


def conv_lstm_3(L):
    return L.ConvLSTM3D(2, 2, return_state=True, use_bias=False, zero_output_for_mask=True), x_of(2, 2, 3, 4, 3, 2)


def stacked(L):
    cells = [L.LSTMCell(4), L.GRUCell(3, reset_after=False), L.SimpleRNNCell(2)]
    return L.RNN(L.StackedRNNCells(cells), return_sequences=True, return_state=True), x_of(2, 5, 3)


def listed(L):
    return L.RNN([L.LSTMCell(4, dropout=0.2, seed=1), L.LSTMCell(3)], go_backwards=True), x_of(2, 5, 3)


def recurrent(L):
    return L.LSTM(4, return_state=True, dropout=0.3, recurrent_dropout=0.2, seed=SEED), x_of(2, 5, 3)


def dropped_cell(L):
    return L.RNN(L.GRUCell(4, dropout=0.3, recurrent_dropout=0.2, seed=SEED)), x_of(2, 5, 3)


def both_ways(L):
    return L.Bidirectional(L.GRU(4, return_sequences=True)), x_of(2, 5, 3)


def reversible(L):
    return L.ReversibleEmbedding(7, 3, tie_weights=False, logit_soft_cap=2.0, reverse_dtype="float32"), tokens(2, 4)


def reversible_masked(L):
    return L.ReversibleEmbedding(7, 3, mask_zero=True, embeddings_regularizer="l2"), tokens(2, 4)


def embedding(L):
    return L.Embedding(7, 3, weights=[x_of(7, 3)], mask_zero=True), tokens(2, 4)


def penalty(L):
    return L.ActivityRegularization(0.1, l2=0.2), x_of(4, 3)


def spectral(L):
    return L.SpectralNormalization(L.Dense(3, kernel_constraint="max_norm"), 2), x_of(4, 5)


def spectral_convolution(L):
    return L.SpectralNormalization(L.Conv2D(3, 2)), x_of(2, 5, 5, 2)


MAKERS = {
    f.__name__: f
    for f in (
        adaptive_average, adaptive_max, adaptive_max_list, conv_lstm, conv_lstm_options, conv_lstm_3, stacked, listed,
        recurrent, dropped_cell, both_ways, reversible, reversible_masked, embedding, penalty, spectral,
        spectral_convolution,
    )
}  # fmt: skip


def pair(name):
    """Keras's layer and ours with its weights, both called once, and the input."""
    for api in (keras, compat):
        api.backend.clear_session()
    (theirs, x), (ours, _) = MAKERS[name](keras.layers), MAKERS[name](compat.layers)
    theirs(x), ours(x)
    assert [(v.path, tuple(v.shape)) for v in ours.weights] == [(v.path, tuple(v.shape)) for v in theirs.weights]
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    return theirs, ours, x


def same(received, expected):
    assert jax.tree.structure(_lists(received)) == jax.tree.structure(_lists(expected))
    for a, b in zip(jax.tree.leaves(received), jax.tree.leaves(expected), strict=True):
        assert str(a.dtype) == str(b.dtype)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)


def _lists(tree):
    return [_lists(t) for t in tree] if isinstance(tree, (list, tuple)) else tree


@pytest.mark.parametrize("name", MAKERS)
def test_same_outputs_and_weights(name):
    """Call after call, in inference and in training, with Keras's dropout masks."""
    theirs, ours, x = pair(name)
    for training in (False, True, True, False):
        kwargs = {"training": training} if theirs._call_has_training_arg else {}
        ours._clear_losses()
        same(ours(x, **kwargs), theirs(x, **kwargs))
        same(list(map(np.asarray, ours.get_weights())), list(map(np.asarray, theirs.get_weights())))
        np.testing.assert_allclose(float(sum(ours.losses)), float(sum(theirs.losses)), rtol=1e-5)


def _plain(config):
    """A config without what the two sides may differ in: where classes live, shapes of parts, absent arguments."""
    if isinstance(config, dict):
        kept = {
            k: v
            for k, v in config.items()
            if k not in ("module", "registered_name", "quantization_config", "build_config")
        }
        absent = ("input_axes", "output_axes", "activity_regularizer")
        return {k: _plain(v) for k, v in kept.items() if v is not None or k not in absent}
    return [_plain(v) for v in config] if isinstance(config, (list, tuple)) else config


@pytest.mark.parametrize("name", MAKERS)
def test_same_config(name):
    theirs, ours, x = pair(name)
    mine, wanted = (_plain(api.layers.serialize(layer)) for api, layer in ((compat, ours), (keras, theirs)))
    if name != "both_ways":  # whose config in Keras has the copies of its layer, not the layer
        assert mine == wanted
    again = compat.layers.deserialize(keras.layers.serialize(theirs))
    again(x), again.set_weights(ours.get_weights())
    same(again(x), ours(x))
    back = keras.layers.deserialize(compat.layers.serialize(ours))
    back(x), back.set_weights(theirs.get_weights())
    same(back(x), theirs(x))


@pytest.mark.parametrize("name", MAKERS)
def test_files_go_both_ways(name, tmp_path):
    models = []
    for api in (keras, compat):
        api.backend.clear_session()
        layer, x = MAKERS[name](api.layers)
        inputs = api.Input(x.shape[1:], dtype=x.dtype.name)
        outputs = layer(inputs)
        models.append(api.Model(inputs, jax.tree.leaves(outputs) if isinstance(outputs, (list, tuple)) else outputs))
    theirs, ours = models
    expected = theirs.predict(x, verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    same(compat.models.load_model(tmp_path / "theirs.keras").predict(x, verbose=0), expected)
    expected = ours.predict(x, verbose=0)
    ours.save(tmp_path / "ours.keras")
    same(keras.models.load_model(tmp_path / "ours.keras").predict(x, verbose=0), expected)


def spectral_model(api):
    x = api.Input((5, 3))
    h = api.layers.SpectralNormalization(api.layers.Dense(4, activation="tanh"))(api.layers.Flatten()(x))
    return api.Model(x, api.layers.Dense(1)(h))


def dropped_model(api):
    L, x = api.layers, api.Input((5, 3))
    h = L.Bidirectional(L.LSTM(4, dropout=0.3, recurrent_dropout=0.2, return_sequences=True, seed=4))(x)
    h = L.ActivityRegularization(0.1, 0.1)(L.GRU(3, dropout=0.2, seed=7)(h))
    return api.Model(x, L.Dense(1)(h))


def convolutional_model(api):
    L, x = api.layers, api.Input((5, 3))
    h = L.ConvLSTM1D(2, 2, dropout=0.3, seed=1)(L.Reshape((5, 3, 1))(x))
    return api.Model(x, L.Dense(1)(L.Flatten()(h)))


@pytest.mark.parametrize("make", [spectral_model, dropped_model, convolutional_model])
def test_trains_alike(make):
    """The same losses, with dropout and with a validation that goes through seeds as well."""
    theirs, ours = make(keras), make(compat)
    ours.set_weights(theirs.get_weights())
    x = x_of(24, 5, 3)
    y = x.sum((1, 2))[:, None]
    histories = []
    for model in (theirs, ours):
        model.compile("sgd", "mse")
        held = (x[:8], y[:8])
        fit = model.fit(x, y, validation_data=held, epochs=3, batch_size=8, shuffle=False, verbose=0)
        histories.append(fit.history)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-4)
