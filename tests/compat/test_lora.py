"""Low-rank adaptation in compat against real Keras: variables, training, configs and files."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import compat

X = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")
SEQUENCE = np.random.default_rng(1).normal(size=(12, 3, 5)).astype("float32")
TOKENS = np.random.default_rng(2).integers(0, 7, (12, 3)).astype("int32")
CASES = {
    "Dense": (lambda k: k.layers.Dense(4, lora_rank=2, name="d"), X),
    "Dense, regularized": (lambda k: k.layers.Dense(4, kernel_regularizer="l2", lora_rank=2, name="d"), X),
    "EinsumDense": (
        lambda k: k.layers.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="e", lora_rank=2, name="e"),
        SEQUENCE,
    ),
    "Embedding": (lambda k: k.layers.Embedding(7, 4, lora_rank=2, name="m"), TOKENS),
}


def model(k, name):
    make, x = CASES[name]
    inputs = k.Input(x.shape[1:], dtype=str(x.dtype))
    return k.Model(inputs, k.layers.Flatten()(make(k)(inputs)))


def pair(name):
    ours, theirs = model(compat, name), model(keras, name)
    generator = np.random.default_rng(3)
    values = [generator.normal(size=v.shape).astype("float32") * 0.3 for v in theirs.weights]
    for m in (ours, theirs):
        m.set_weights(values)
    return ours, theirs, CASES[name][1]


@pytest.mark.parametrize("name", CASES)
def test_variables_and_training_are_those_of_keras(name):
    ours, theirs, x = pair(name)
    assert [(v.name, tuple(v.shape), v.trainable) for v in ours.weights] == [
        (v.name, tuple(v.shape), v.trainable) for v in theirs.weights
    ]
    assert [v.name for v in ours.trainable_weights] == [v.name for v in theirs.trainable_weights]
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    y = np.zeros_like(theirs.predict(x, verbose=0))
    for m, k in ((ours, compat), (theirs, keras)):
        m.compile(k.optimizers.Adam(0.05), "mse")
        m.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_configs_and_files_go_both_ways(name, tmp_path):
    ours, theirs, x = pair(name)
    assert ours.layers[1].get_config() == theirs.layers[1].get_config()
    expected = theirs.predict(x, verbose=0)
    for writer, reader, path in ((ours, keras, "ours.keras"), (theirs, compat, "theirs.keras")):
        writer.save(tmp_path / path)
        loaded = reader.models.load_model(tmp_path / path)
        np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
        factors = [v for v in loaded.weights if v.name.startswith("lora")]
        assert len(factors) == 2
        assert not any(np.any(v) for v in factors)  # the product is in the kernel


def test_the_weight_that_is_seen_is_the_merged_one():
    ours, theirs, _ = pair("Dense")
    np.testing.assert_allclose(ours.layers[1].kernel, theirs.layers[1].kernel, rtol=1e-6)


def test_enable_lora_after_building():
    layer = compat.layers.Dense(3)
    with pytest.raises(ValueError, match="that is built"):
        layer.enable_lora(2)
    before = layer(X)
    layer.enable_lora(2, lora_alpha=6.0)
    np.testing.assert_allclose(layer(X), before, rtol=1e-6)
    assert (layer.lora_rank, layer.lora_alpha, layer.lora_enabled) == (2, 6.0, True)
    layer.lora_kernel_b.assign(np.ones((2, 3), "float32"))
    added = 3.0 * X @ (np.asarray(layer.lora_kernel_a) @ np.ones((2, 3), "float32"))
    np.testing.assert_allclose(layer(X) - before, added, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="already enabled"):
        layer.enable_lora(2)


def test_what_lora_cannot_go_with():
    layer = compat.layers.Dense(3, kernel_constraint="non_neg")
    layer(X)
    with pytest.raises(ValueError, match="remove kernel_constraint"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="expected quantization_config=None"):
        compat.layers.Dense(3, quantization_config="int8")


def test_a_pure_function_of_an_adapted_model():
    ours, _, x = pair("Dense")
    net, params, state = ours.functional()
    np.testing.assert_allclose(net.apply(params, state, x)[0], ours.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
