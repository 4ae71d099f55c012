"""Adapted weights that are stacked (by layers, by members of an ensemble) or have axes of heads."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import kfun
from kfun import Spec, layers, ops, tree
from kfun.arrays import LoRA, add_lora, merge_lora
from kfun.ops._kinds import backend
from tests.conftest import BACKENDS, GRAPHS

_FEW = np.linspace(-1, 1, 30, dtype="float32").reshape(2, 3, 5)
_IMAGE = np.linspace(-1, 1, 100, dtype="float32").reshape(2, 5, 5, 2)
_PATTERN = "kernel$|embeddings$"


class Attending(kfun.Block):
    """Self-attention with a layer around it, as a stack takes it."""

    attention: kfun.Layer

    def forward(self, f, x):
        return ops.add(x, f.attention(x, x, use_causal_mask=True))


_HEADED = layers.MultiHeadAttention(2, 3)
_GROUPED = layers.GroupQueryAttention(3, 4, 2, use_gate=True)
LAYERS = {
    "Stack of Dense": (kfun.Stack(layers.Dense(5, "tanh"), 3), _FEW),
    "Stack of Dense without biases": (kfun.Stack(layers.Dense(5, use_bias=False), 3), _FEW),
    "as many layers as features": (kfun.Stack(layers.Dense(5, "tanh"), 5), _FEW),
    "Stack of Conv2D": (kfun.Stack(layers.Conv2D(2, 3, padding="same"), 3), _IMAGE),
    "Stack of LSTM": (kfun.Stack(layers.LSTM(5, return_sequences=True), 2), _FEW),
    "Stack of GRU": (kfun.Stack(layers.GRU(5, return_sequences=True), 2), _FEW),
    "Stack of attention": (kfun.Stack(Attending(_HEADED), 3), _FEW),
    "Stack of grouped attention": (kfun.Stack(Attending(_GROUPED), 3), _FEW),
    "Ensemble of Dense": (kfun.Ensemble(layers.Dense(4), 3), _FEW),
    "Ensemble of attention": (kfun.Ensemble(Attending(_HEADED), 2), _FEW),
    "Ensemble of embeddings": (kfun.Ensemble(layers.Embedding(4, 3), 2), np.int32([[1, 3], [0, 0]])),
    "Ensemble of stacks": (kfun.Ensemble(kfun.Stack(layers.Dense(5), 2), 3), _FEW),
    "Remat of a stack": (kfun.Remat(kfun.Stack(layers.Dense(5), 2)), _FEW),
}


def adapted(layer, x, **options):
    params, state = layer.init(kfun.random.key(1), Spec.of(x))
    options = {"b_initializer": "glorot_uniform", "alpha": 3.0} | options
    return add_lora(params, _PATTERN, 2, kfun.random.key(2), **options), state


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", [b for b in BACKENDS if b not in GRAPHS])
def test_stacked_weights_compute_what_merged_ones_do(kind, name):
    layer, x = LAYERS[name]
    params, state = tree.to_numpy(adapted(layer, x))
    plain = merge_lora(params)
    assert not any(isinstance(w, LoRA) for w in jax.tree.leaves(plain, is_leaf=lambda w: isinstance(w, LoRA)))
    expected, _ = layer.apply(plain, state, x)
    unadapted, _ = layer.init(kfun.random.key(1), Spec.of(x))
    assert not np.allclose(expected, layer.apply(unadapted, state, x)[0], atol=1e-3)
    with backend(kind):
        given = tree.convert((params, state), kind) if kind != "numpy" else (params, state)
        y, _ = layer.apply(*given, ops.convert_to_tensor(x))
        np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["Stack of Dense", "Stack of attention", "Ensemble of Dense", "Stack of Conv2D"])
def test_gradients_of_the_factors_are_those_through_merged_weights(name):
    layer, x = LAYERS[name]
    params, state = adapted(layer, x)
    factors, base = tree.partition(params, "/(a|b)$")

    def loss(run):
        return ops.sum(ops.square(layer.apply(run, state, x)[0]))

    received = jax.jit(jax.grad(lambda f: loss(tree.combine(f, base))))(factors)
    expected = jax.grad(lambda f: loss(merge_lora(tree.combine(f, base))))(factors)
    assert set(tree.flatten(received)) == {p for p in tree.flatten(params) if p[-2:] in ("/a", "/b")}
    for path, gradient in tree.flatten(received).items():
        np.testing.assert_allclose(gradient, tree.flatten(expected)[path], rtol=1e-3, atol=1e-4, err_msg=path)
        assert float(ops.max(ops.abs(gradient))) > 0, path


@pytest.mark.parametrize(
    ("layer", "inputs", "path", "a", "b"),
    [
        (kfun.Stack(layers.Dense(5), 3), 1, "kernel", (3, 5, 2), (3, 2, 5)),
        (kfun.Stack(layers.Dense(5, use_bias=False), 3), 1, "kernel", (3, 5, 2), (3, 2, 5)),
        (kfun.Ensemble(kfun.Stack(layers.Dense(5), 3), 4), 1, "kernel", (4, 3, 5, 2), (4, 3, 2, 5)),
        (kfun.Stack(layers.Conv1D(5, 3, padding="same"), 4), 1, "kernel", (4, 3, 5, 2), (4, 2, 5)),
        (layers.Conv1D(7, 3), 1, "kernel", (3, 5, 2), (2, 7)),
        (layers.EinsumDense("btc,cnh->btnh", (None, 4, 6), bias_axes="nh"), 1, "kernel", (5, 2), (2, 4, 6)),
        (_HEADED, 2, "query/kernel", (5, 2), (2, 2, 3)),
        (_HEADED, 2, "attention_output/kernel", (2, 3, 2), (2, 5)),
        (_HEADED.replace(use_bias=False), 2, "value/kernel", (5, 2), (2, 2, 3)),
        (_HEADED.replace(output_shape=(4, 6), value_dim=7), 2, "attention_output/kernel", (2, 7, 2), (2, 4, 6)),
        (_GROUPED.replace(use_bias=False), 2, "key/kernel", (5, 2), (2, 2, 3)),
        (_GROUPED.replace(use_bias=False), 2, "gate/kernel", (5, 2), (2, 4, 3)),
        (kfun.Ensemble(_HEADED.replace(use_bias=False), 5), 2, "query/kernel", (5, 5, 2), (5, 2, 2, 3)),
        (kfun.Ensemble(_HEADED, 5), 2, "attention_output/kernel", (5, 2, 3, 2), (5, 2, 5)),
    ],
)
def test_factors_have_the_stacked_axes_and_split_the_others_in_two(layer, inputs, path, a, b):
    params, _ = layer.init(kfun.random.key(0), *[Spec((2, 3, 5))] * inputs)
    weight = add_lora(params, f"^{path}$", 2, kfun.random.key(1))
    for name in path.split("/"):
        weight = weight[name]
    assert (weight.a.shape, weight.b.shape) == (a, b)
    assert weight.merged().shape == weight.shape


def test_axes_that_nothing_tells_are_given():
    layer = layers.EinsumDense("btc,cnh->btnh", (None, 4, 6))
    params, _ = layer.init(kfun.random.key(0), Spec((2, 3, 5)))
    safe = add_lora(params, "kernel", 2, kfun.random.key(1), b_initializer="ones")
    assert (safe["kernel"].a.shape, safe["kernel"].b.shape) == ((5, 4, 2), (5, 2, 6))
    told = add_lora(params, "kernel", 2, kfun.random.key(1), b_initializer="ones", axes=(1, 2))
    assert (told["kernel"].a.shape, told["kernel"].b.shape) == ((5, 2), (2, 4, 6))
    for given in (safe, told):
        expected = layer.apply(merge_lora(given), {}, _FEW)[0]
        np.testing.assert_allclose(layer.apply(given, {}, _FEW)[0], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"at least 4 axes; received \['kernel'\]"):
        add_lora(params, "kernel", 2, kfun.random.key(1), axes=(2, 2))
    with pytest.raises(ValueError, match=r"axes=\(summed, made\).*received \(0, 1\)"):
        add_lora(params, "kernel", 2, kfun.random.key(1), axes=(0, 1))


def test_stacked_layers_that_are_named_as_those_of_an_attention_stay_stacked():
    shapes = {"query": (3, 5, 6), "key": (3, 5, 6), "value": (3, 5, 6), "attention_output": (3, 6, 5)}
    params = {name: {"kernel": np.ones(shape, "float32")} for name, shape in shapes.items()}
    found = add_lora(params, "kernel", 2, kfun.random.key(1))
    for name, (n, _, made) in shapes.items():
        assert found[name]["kernel"].b.shape == (n, 2, made)


def test_params_of_a_mapped_init_are_adapted_and_mapped():
    layer = layers.MultiHeadAttention(2, 3)
    spec = Spec((2, 3, 5))
    many, _ = jax.vmap(lambda key: layer.init(key, spec, spec))(jax.random.split(jax.random.key(0), 2))
    many = add_lora(many, "kernel", 2, kfun.random.key(1), b_initializer="ones")
    mapped = jax.vmap(lambda p: layer.apply(p, {}, _FEW, _FEW)[0])(many)
    for i in range(2):
        one = jax.tree.map(lambda w, i=i: w[i], many)
        np.testing.assert_allclose(mapped[i], layer.apply(merge_lora(one), {}, _FEW, _FEW)[0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(mapped[0], mapped[1])


def test_each_stacked_weight_has_factors_drawn_as_one_alone():
    params, _ = kfun.Stack(layers.Dense(400), 16).init(kfun.random.key(0), Spec((2, 400)))
    a = add_lora(params, "kernel", 4, kfun.random.key(1))["kernel"].a
    limit = np.sqrt(6 / 400)  # of he_uniform, whose fan is that of one layer
    assert 0.95 * limit < float(ops.max(a)) <= limit
    assert len({float(x) for x in a[:, 0, 0]}) == 16


def test_a_scan_takes_adapted_weights_as_they_are():
    params, _ = kfun.Stack(layers.Dense(64), 8).init(kfun.random.key(0), Spec((2, 64)))
    params = add_lora(params, "kernel", 1, kfun.random.key(1))
    traced = str(
        jax.make_jaxpr(lambda p: kfun.Stack(layers.Dense(64), 8).apply(p, {}, np.ones((2, 64), "f4"))[0])(params)
    )
    before = traced.partition("scan[")[0]
    assert "dot_general" not in before  # the product of the factors is not made for all layers beforehand
    kept = ops.stop_gradient(params["kernel"])
    assert isinstance(kept, LoRA)
