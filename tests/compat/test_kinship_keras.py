"""Which classes count among which, and what users override in them: as real Keras has it."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import abc
import inspect
import pickle

import keras
import numpy as np
import pytest

import compat

NAMESPACES = ("layers", "optimizers", "losses", "metrics", "callbacks", "regularizers", "constraints", "initializers")
X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")


def _pairs():
    """Classes of both libraries by name, and for each of them the others of Keras that it is one of."""
    named = {}
    for space in NAMESPACES:
        for name, cls in vars(getattr(keras, space)).items():
            ours = getattr(getattr(compat, space), name, None)
            if isinstance(cls, type) and isinstance(ours, type):
                named[f"{space}.{name}"] = (cls, ours)
    return named


NAMED = _pairs()


@pytest.mark.parametrize("name", [n for n, (cls, _) in NAMED.items() if len(cls.__mro__) > 3])
def test_classes_are_of_the_kinds_that_they_are_in_keras(name):
    cls, ours = NAMED[name]
    missing = [n for n, (k, o) in NAMED.items() if issubclass(cls, k) and not issubclass(ours, o)]
    assert missing == []


def test_kinship_is_not_handed_down():
    class Mine(compat.layers.RNN):
        pass

    assert isinstance(compat.layers.LSTM(2), compat.layers.RNN)
    assert not isinstance(compat.layers.LSTM(2), Mine)
    assert not isinstance(compat.layers.Dense(2), compat.layers.RNN)
    assert not issubclass(compat.layers.RNN, compat.layers.LSTM)

    class Both(compat.layers.Dropout, abc.ABC):
        pass

    assert Both(0.5)(X, training=False).shape == X.shape
    assert pickle.loads(pickle.dumps(compat.layers.Dropout(0.25))).rate == 0.25


@pytest.mark.parametrize("name", ["GlorotUniform", "HeNormal", "LecunUniform"])
def test_named_initializers_tell_their_scale(name):
    ours, theirs = getattr(compat.initializers, name)(seed=1), getattr(keras.initializers, name)(seed=1)
    for attribute in ("scale", "mode", "distribution", "seed"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert ours.get_config() == theirs.get_config()


def _standardized(api):
    class Standardized(api.layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            kernel = api.ops.convert_to_tensor(kernel)
            mean, variance = api.ops.moments(kernel, axes=(0, 1, 2), keepdims=True)
            return super().convolution_op(inputs, (kernel - mean) / api.ops.sqrt(variance + 1e-10))

    return Standardized


@pytest.mark.parametrize("options", [{"padding": "same"}, {"strides": 2, "use_bias": False}, {"activation": "relu"}])
def test_a_convolution_op_of_its_own_is_used(options):
    curves, outputs = [], []
    for api in (compat, keras):
        api.utils.set_random_seed(0)
        model = api.Sequential([api.Input((8, 8, 3)), _standardized(api)(4, 3, **options), api.layers.Flatten()])
        model.compile("sgd", "mse")
        target = np.ones((2, *model.output_shape[1:]), "float32")
        curves.append(model.fit(X, target, epochs=3, verbose=0).history["loss"])
        outputs.append(model.predict(X, verbose=0))
        assert model.layers[0].rank == 2
    np.testing.assert_allclose(*curves, rtol=1e-5)
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_causal_convolution_op_gets_what_is_padded(data_format):
    class Doubled(compat.layers.Conv1D):
        def convolution_op(self, inputs, kernel):
            return 2 * super().convolution_op(inputs, kernel)

    options = {"padding": "causal", "dilation_rate": 2, "data_format": data_format}
    plain, doubled = compat.layers.Conv1D(4, 3, **options), Doubled(4, 3, **options)
    x = X[0]
    x = x if data_format == "channels_last" else x.transpose(0, 2, 1)
    plain.build(x.shape), doubled.build(x.shape)
    bias = np.arange(4, dtype="float32")
    plain.set_weights([plain.get_weights()[0], bias]), doubled.set_weights([plain.get_weights()[0], 2 * bias])
    np.testing.assert_allclose(doubled(x), 2 * plain(x), rtol=1e-5, atol=1e-6)


def test_attributes_before_they_have_a_meaning():
    class Net(compat.Model):
        def call(self, x):
            return x

    for model in (Net(), compat.Sequential()):
        assert (model.loss, model.train_function, model.predict_function, model.optimizer) == (None,) * 4
    optimizer = compat.optimizers.MultiOptimizer(compat.optimizers.OptimizerMap(compat.optimizers.SGD(0.1)))
    assert int(optimizer.iterations) == 0
    variable = compat.Variable(np.ones(3))
    optimizer.build([variable])
    optimizer.apply([np.ones(3, "float32")])
    assert int(optimizer.iterations) == 1
    both = compat.layers.Bidirectional(compat.layers.GRU(3, return_sequences=True, stateful=True))
    assert (both.return_sequences, both.return_state, both.stateful) == (True, False, True)
    assert compat.layers.Lambda(lambda x: x).mask is None


def test_signatures_are_those_of_the_class_itself():
    class Plain(compat.layers.Dense):
        pass

    class Own(compat.metrics.Mean):
        def __init__(self, unit):
            super().__init__()

    class Below(Own):
        pass

    assert inspect.signature(Plain) == inspect.signature(compat.layers.Dense)
    assert list(inspect.signature(Own).parameters) == list(inspect.signature(Below).parameters) == ["unit"]
    assert next(iter(inspect.signature(compat.metrics.MeanMetricWrapper).parameters)) == "fn"


def _limited(api):
    class Limited(api.layers.MultiHeadAttention):
        def _compute_attention(
            self, query, key, value, attention_mask=None, training=None, with_scores=False, **kwargs
        ):
            given = (query * 2, key, value, attention_mask, training, with_scores)
            outputs, scores = super()._compute_attention(*given, **kwargs)
            return outputs * 3, scores

    return Limited


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("axes", [None, (1,)])
def test_an_attention_of_its_own_is_used(axes, masked):
    x = X if axes else X[:, 0]
    found = []
    for api in (compat, keras):
        api.utils.set_random_seed(0)
        layer = _limited(api)(2, 4, attention_axes=axes)
        options = {"use_causal_mask": True} if masked and not axes else {}
        options |= {"attention_mask": np.tril(np.ones((1, 8, 8), bool))} if masked and not axes else {}
        plain = api.layers.MultiHeadAttention(2, 4, attention_axes=axes)
        outputs = np.asarray(layer(x, x, **options))
        plain.build(x.shape, x.shape)
        plain.set_weights(layer.get_weights())
        assert np.abs(outputs - np.asarray(plain(x, x, **options))).max() > 1e-3
        found.append((layer.get_weights(), outputs))
        given = api.Input(x.shape[1:])
        model = api.Model(given, layer(given, given, **options))
        np.testing.assert_allclose(model.predict(x, verbose=0), outputs, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)
