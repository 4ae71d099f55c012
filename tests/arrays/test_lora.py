"""Adapted weights: the same as plain ones on every backend, through layers that know nothing of them."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import kfun
from kfun import Spec, layers, ops, tree
from kfun.arrays import LoRA, add_lora, merge_lora
from kfun.ops._kinds import backend
from tests.conftest import BACKENDS, GRAPHS

LAYERS = {
    "Dense": (layers.Dense(6, "tanh"), np.linspace(-1, 1, 10, dtype="float32").reshape(2, 5)),
    "Dense of a sequence": (layers.Dense(6), np.linspace(-1, 1, 30, dtype="float32").reshape(2, 3, 5)),
    "EinsumDense": (layers.EinsumDense("abc,cde->abde", (None, 4, 6)), np.ones((2, 3, 5), "float32")),
    "Embedding": (layers.Embedding(7, 4), np.int32([[1, 6, 0], [2, 2, 3]])),
    "Conv2D": (layers.Conv2D(3, 2), np.linspace(-1, 1, 50, dtype="float32").reshape(1, 5, 5, 2)),
    "LSTM": (layers.LSTM(3), np.linspace(-1, 1, 40, dtype="float32").reshape(2, 4, 5)),
}


def adapted(layer, x):
    params, state = layer.init(kfun.random.key(1), Spec.of(x))
    params = add_lora(params, "kernel$|embeddings$", 2, kfun.random.key(2), alpha=3.0, b_initializer="ones")
    return params, state


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", [b for b in BACKENDS if b not in GRAPHS])
def test_adapted_weights_compute_what_merged_ones_do(kind, name):
    layer, x = LAYERS[name]
    params, state = tree.to_numpy(adapted(layer, x))
    expected, _ = layer.apply(tree.to_numpy(merge_lora(params)), state, x)
    with backend(kind):
        given = tree.convert((params, state), kind) if kind != "numpy" else (params, state)
        y, _ = layer.apply(*given, ops.convert_to_tensor(x))
        np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-5, atol=1e-6)


def test_the_base_stays_and_the_factors_are_trained():
    layer, x = LAYERS["Dense"]
    params, state = adapted(layer, x)
    factors, rest = tree.partition(params, "/(a|b)$")
    assert sorted(tree.flatten(factors)) == ["kernel/a", "kernel/b"]

    @jax.jit
    def loss(factors):
        y, _ = layer.apply(tree.combine(factors, rest), state, x)
        return ops.sum(ops.square(y))

    gradient = jax.grad(loss)(factors)
    kernel = jax.grad(lambda k: ops.sum(ops.square(layer.apply({**params, "kernel": k}, state, x)[0])))(
        params["kernel"].merged()
    )
    np.testing.assert_allclose(gradient["kernel"].a, 1.5 * kernel @ params["kernel"].b.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient["kernel"].b, 1.5 * params["kernel"].a.T @ kernel, rtol=1e-4, atol=1e-5)


def test_gradients_on_torch():
    torch = pytest.importorskip("torch")
    layer, x = LAYERS["Dense"]
    params, state = adapted(layer, x)
    expected = jax.grad(lambda p: ops.sum(layer.apply(p, state, x)[0]))(params)
    given = tree.convert(params, "torch")
    received = kfun.grad(lambda p: ops.sum(layer.apply(p, {}, torch.tensor(x))[0]))(given)
    for name in ("base", "a", "b"):
        np.testing.assert_allclose(getattr(received["kernel"], name), getattr(expected["kernel"], name), rtol=1e-4)


def test_a_batch_of_adapters_under_vmap():
    layer, x = LAYERS["Dense"]
    params, state = adapted(layer, x)
    kernel = params["kernel"]
    many = LoRA(kernel.base, np.stack([kernel.a, 2 * kernel.a]), np.stack([kernel.b, kernel.b]), kernel.scale)
    axes = LoRA(None, 0, 0, kernel.scale)
    y = jax.vmap(lambda k: layer.apply({**params, "kernel": k}, state, x)[0], in_axes=(axes,))(many)
    np.testing.assert_allclose(y[0], layer.apply(params, state, x)[0], rtol=1e-6)
    assert not np.allclose(y[0], y[1])


def test_precision_reaches_the_factors():
    layer = layers.Dense(3, policy=kfun.Policy(compute="bfloat16"))
    params, state = adapted(layer, np.ones((2, 5), "float32"))
    assert layer.apply(params, state, np.ones((2, 5), "float32"))[0].dtype == "bfloat16"
    assert params["kernel"].base.dtype == "float32"


@pytest.mark.parametrize(
    ("pattern", "rank", "message"),
    [
        ("kernel", 0, "at least 1"),
        ("kernle", 2, "no path matches 'kernle'; there are bias, kernel"),
        ("bias", 2, "2 axes"),
    ],
)
def test_misuse_says_what_was_received(pattern, rank, message):
    params, _ = layers.Dense(3).init(kfun.random.key(0), Spec((2, 5)))
    with pytest.raises(ValueError, match=message):
        add_lora(params, pattern, rank, kfun.random.key(0))
