"""Masks where users see them: on arrays, on symbolic tensors, through layers of their own; as in real Keras."""

import numpy as np
import pytest

import compat as keras

real = pytest.importorskip("keras")
BOTH = pytest.mark.parametrize("api", [keras, real], ids=["ours", "theirs"])
TOKENS = np.array([[1, 2, 0, 0], [3, 1, 2, 0]], "int32")
X = np.ones((2, 4, 3), "float32")
X[:, 2:], X[:, 0] = 0, 5


def of(x):
    mask = getattr(x, "_keras_mask", None)
    return None if mask is None else np.asarray(mask).tolist()


def layers_of(api):
    """Layers that make, change and use masks, as users write them."""
    ops, layers = api.ops, api.layers

    class Makes(layers.Layer):
        def call(self, inputs):
            return inputs + 1

        def compute_mask(self, inputs, mask=None):
            return ops.any(ops.not_equal(inputs, 0), -1)

    class Around(layers.Layer):
        def __init__(self, supports_masking):
            super().__init__()
            self.supports_masking = supports_masking
            self.inner = layers.Masking(mask_value=5.0)

        def call(self, inputs):
            return self.inner(inputs)

    class Uses(layers.Layer):
        supports_masking = True

        def call(self, inputs, mask=None):
            return inputs if mask is None else inputs * ops.cast(ops.expand_dims(mask, -1), "float32")

    silent = Makes()
    silent.supports_masking = False
    return {"makes": Makes(), "around": Around(True), "inside": Around(False), "silent": silent}, Uses()


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("kind", ["makes", "around", "inside", "silent"])
@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")
def test_layers_that_users_write(kind, masked):
    found = []
    for api in (keras, real):
        made, uses = layers_of(api)
        first = api.layers.Masking() if masked else api.layers.Identity()
        y = made[kind](first(X))
        inputs = api.Input((4, 3))
        model = api.Model(inputs, uses(made[kind](first(inputs))))
        supports = made[kind].supports_masking
        found.append((supports, of(y), np.asarray(uses(y)).tolist(), np.asarray(model(X)).tolist()))
    assert found[0] == found[1]


@BOTH
def test_masks_of_arrays(api):
    embedding = api.layers.Embedding(5, 3, mask_zero=True)
    embedded = embedding(TOKENS)
    assert of(embedded) == (TOKENS != 0).tolist()
    assert of(api.layers.TimeDistributed(api.layers.Dense(2))(embedded)) == (TOKENS != 0).tolist()
    assert of(api.layers.LSTM(2)(embedded)) is None
    model = api.Sequential([api.Input((4,), dtype="int32"), embedding, api.layers.LSTM(2, return_sequences=True)])
    for _ in range(12):  # calls of one form are compiled whole after a while
        assert of(model(TOKENS)) == (TOKENS != 0).tolist()


@BOTH
def test_masks_of_symbolic_tensors(api):
    embedding = api.layers.Embedding(5, 3, mask_zero=True)
    inputs, other = api.Input((4,), dtype="int32"), api.Input((4, 3))
    embedded = embedding(inputs)
    mask = embedded._keras_mask
    assert (mask.shape, mask.dtype) == ((None, 4), "bool")
    assert getattr(api.layers.LSTM(2)(embedded), "_keras_mask", None) is None
    assert getattr(inputs, "_keras_mask", None) is None
    np.testing.assert_array_equal(api.Model(inputs, mask)(TOKENS), TOKENS != 0)
    joined = api.layers.Concatenate(axis=1)([api.layers.Masking()(other), embedded])
    model = api.Model([other, inputs], joined._keras_mask)
    np.testing.assert_array_equal(model([X, TOKENS]), np.concatenate([X.any(-1), TOKENS != 0], 1))
    made, _ = layers_of(api)
    assert made["makes"](other)._keras_mask.shape == (None, 4)
    used = api.layers.LSTM(2)(embedded, mask=embedding.compute_mask(inputs))
    plain = api.layers.LSTM(2)
    assert api.Model(inputs, used)(TOKENS).shape == api.Model(inputs, plain(embedded))(TOKENS).shape == (2, 2)


def test_masks_of_tensors_that_no_layer_makes():
    inputs = keras.Input((4, 3))
    masked = keras.layers.Masking()(inputs)
    assert (masked + 1)._keras_mask is None
    assert keras.KerasTensor((2, 3))._keras_mask is None
    assert keras.Model(inputs, masked)(inputs)._keras_mask is None
    given = keras.KerasTensor((2, 3))
    given._keras_mask = masked._keras_mask
    assert given._keras_mask is masked._keras_mask


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_masks_of_layers_with_several_inputs(name):
    """Keras gives `mask` to a layer of one input; to one of several those that are named after them."""
    found = []
    for api in (keras, real):
        first = api.layers.Embedding(5, 3, mask_zero=True)
        layer = getattr(api.layers, name)(2, return_sequences=True)
        embedded = first(TOKENS)
        layer(embedded)
        rng = np.random.default_rng(0)
        for each in (first, layer):
            each.set_weights([rng.normal(size=w.shape).astype("float32") for w in each.get_weights()])
        embedded, state = first(TOKENS), [np.ones((2, 2), "float32")] * (2 if name == "LSTM" else 1)
        with_state = layer(embedded, initial_state=state)
        masked = layer(embedded, initial_state=state, mask=first.compute_mask(TOKENS))
        assert of(with_state) == of(masked) == (TOKENS != 0).tolist()
        inputs = api.Input(batch_shape=(2, 4), dtype="int32")
        model = api.Model(inputs, layer(first(inputs), initial_state=[api.ops.ones((2, 2))] * len(state)))
        found.append([np.asarray(a) for a in (layer(embedded), with_state, masked, model(TOKENS))])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert np.abs(found[0][1] - found[0][2]).max() > 1e-3


@BOTH
def test_masks_named_after_inputs(api):
    received = {}

    class Named(api.layers.Layer):
        def call(self, x, y=None, x_mask=None, y_mask=None, mask=None):
            received.update(x=x_mask, y=y_mask, whole=mask)
            return x

    x, y = (api.layers.Masking(mask_value=v)(X) for v in (0.0, 5.0))
    layer = Named()
    layer.supports_masking = True
    layer(x)
    assert [of_mask(received[n]) for n in ("x", "y", "whole")] == [None, None, of(x)]
    layer(x, y=y)
    assert [of_mask(received[n]) for n in ("x", "y", "whole")] == [of(x), of(y), None]


def of_mask(mask):
    return None if mask is None else np.asarray(mask).tolist()
