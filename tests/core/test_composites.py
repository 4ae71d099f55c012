"""Block, Sequential, Graph and the combinators against what they stand for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, layers, ops, random


class Feedforward(kfun.Block):
    """A residual block with dropout and a tuple of layers."""

    norm: layers.LayerNormalization
    inner: tuple
    drop: layers.Dropout

    def forward(self, f, x):
        y = f.norm(x)
        for layer in f.inner:
            y = layer(y)
        return ops.add(x, f.drop(y))


def _block():
    return Feedforward(layers.LayerNormalization(), (layers.Dense(8, "tanh"), layers.Dense(4)), layers.Dropout(0.5))


def test_block():
    block, x = _block(), jnp.arange(12.0).reshape(3, 4)
    params, state = block.init(random.key(0), x)
    assert {k: set(v) for k, v in params.items()} == {
        "norm": {"gamma", "beta"}, "inner_0": {"kernel", "bias"}, "inner_1": {"kernel", "bias"},
    }  # fmt: skip
    y, _ = block.apply(params, state, x)
    n, _ = block.norm.apply(params["norm"], {}, x)
    hidden = jnp.tanh(n @ params["inner_0"]["kernel"]) @ params["inner_1"]["kernel"]
    np.testing.assert_allclose(y, x + hidden, rtol=1e-5)
    trained = [block.apply(params, state, x, key=random.key(i), training=True)[0] for i in (1, 1, 2)]
    np.testing.assert_array_equal(trained[0], trained[1])
    assert not np.allclose(trained[0], trained[2])


def test_stack_is_its_layers_in_a_row():
    layer, x = layers.Dense(4, "tanh"), jnp.ones((2, 4))
    stack = kfun.Stack(layer, 3)
    params, state = stack.init(random.key(0), x)
    assert params["kernel"].shape == (3, 4, 4)
    assert not np.allclose(params["kernel"][0], params["kernel"][1])
    y = x
    for i in range(3):
        y, _ = layer.apply(jax.tree.map(lambda p, i=i: p[i], params), {}, y)
    np.testing.assert_allclose(stack.apply(params, state, x)[0], y, rtol=1e-6)
    with pytest.raises(ValueError, match="keep its input's shape"):
        kfun.Stack(layers.Dense(5), 2).init(random.key(0), x)


def test_stack_compiles_in_one_piece():
    text = jax.jit(lambda p, x: kfun.Stack(layers.Dense(4), 50).apply(p, {}, x)[0]).lower(
        {"kernel": jnp.ones((50, 4, 4)), "bias": jnp.ones((50, 4))}, jnp.ones((2, 4))
    ).as_text()  # fmt: skip
    assert text.count("dot_general") == 1


def test_ensemble_remat_residual_parallel():
    x = jnp.ones((2, 4))
    ensemble = kfun.Ensemble(layers.Dense(3), 5)
    params, state = ensemble.init(random.key(0), x)
    y = ensemble.apply(params, state, x)[0]
    assert y.shape == (5, 2, 3)
    np.testing.assert_allclose(y[2], x @ params["kernel"][2], rtol=1e-6)
    layer = layers.Dense(4, "tanh")
    params, state = layer.init(random.key(1), x)
    plain = layer.apply(params, state, x)[0]
    for wrapped, wanted in ((kfun.Remat(layer), plain), (kfun.Residual(layer), x + plain)):
        np.testing.assert_allclose(wrapped.apply(params, state, x)[0], wanted, rtol=1e-6)
        grads = [jax.grad(lambda p, f=f: f.apply(p, {}, x)[0].sum())(params) for f in (wrapped, layer)]
        np.testing.assert_allclose(grads[0]["kernel"], grads[1]["kernel"], rtol=1e-6)
    both = kfun.Parallel((layers.Dense(2), layers.Dense(3)))
    params, state = both.init(random.key(0), x)
    assert [y.shape for y in both.apply(params, state, x)[0]] == [(2, 2), (2, 3)]


def test_graph_shares_and_branches():
    a, b = kfun.Input((4,)), kfun.Input((4,))
    shared = layers.Dense(4)
    y = ops.concatenate([shared(a), shared(b)], axis=-1)
    graph = kfun.Graph.of([a, b], {"sum": ops.sum(y, -1), "wide": layers.Dense(2)(y) * 2.0})
    x = jnp.ones((3, 4))
    params, state = graph.init(random.key(0), x, x)
    assert list(params) == ["dense", "dense_1"]
    out, _ = jax.jit(graph.apply)(params, state, x, 2 * x)
    h = jnp.concatenate([x @ params["dense"]["kernel"], 2 * x @ params["dense"]["kernel"]], -1)
    np.testing.assert_allclose(out["sum"], h.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(out["wide"], 2 * (h @ params["dense_1"]["kernel"]), rtol=1e-5)
    assert graph.output_spec(Spec((None, 4)), Spec((None, 4)))["wide"] == Spec((None, 2))
    with pytest.raises(ValueError, match="not among the inputs"):
        kfun.Graph.of([a], y)
    with pytest.raises(ValueError, match="expected 2 inputs; received 1"):
        graph.apply(params, state, x)


def test_masks_travel_through_a_sequential():
    net = kfun.Sequential([layers.Embedding(5, 3, mask_zero=True), layers.Dropout(0.1), layers.LSTM(4)])
    ids = np.array([[1, 2, 0, 0], [1, 2, 3, 4]])
    params, state = net.init(random.key(0), ids)
    short = net.apply(params, state, ids[:1, :2])[0]
    np.testing.assert_allclose(net.apply(params, state, ids)[0][:1], short, rtol=1e-5, atol=1e-6)


def test_symbolic_tensor_refuses_what_needs_a_value():
    x = kfun.Input((3,))
    for attempt in (lambda: bool(x), lambda: np.asarray(x), lambda: len(x), lambda: list(x)):
        with pytest.raises(TypeError, match="symbolic tensor"):
            attempt()


def test_unknown_sizes():
    with pytest.raises(ValueError, match="must have a known size"):
        kfun.Sequential([layers.Dense(3)]).init(random.key(0), Spec((None, None)))
    refuses = kfun.Sequential([layers.Reshape((2, -1)), layers.Dense(3)])  # a symbolic size does not divide by 2
    with pytest.raises(ValueError, match="known"):
        refuses.init(random.key(0), Spec((None, None)))


def test_policy_casts_computation():
    layer = layers.Dense(3, policy=kfun.Policy(compute="bfloat16", output="float32"))
    params, state = layer.init(random.key(0), Spec((None, 4)))
    assert params["kernel"].dtype == "float32"
    assert layer.apply(params, state, jnp.ones((2, 4)))[0].dtype == "float32"
    half = layers.Dense(3, policy=kfun.Policy(compute="bfloat16"))
    assert half.apply(params, state, jnp.ones((2, 4)))[0].dtype == "bfloat16"


def test_tree_helpers():
    from kfun import tree

    net = kfun.Sequential([layers.Dense(3), layers.Dense(2)])
    params, _ = net.init(random.key(0), Spec((None, 4)))
    assert list(tree.select(params, "bias$")) == ["dense/bias", "dense_1/bias"]
    assert tree.count(params) == 4 * 3 + 3 + 3 * 2 + 2
    chosen, rest = tree.partition(params, "^dense/")
    assert jax.tree.structure(tree.combine(chosen, rest)) == jax.tree.structure(params)
    frozen = jax.grad(lambda p: net.apply(tree.freeze(p, "^dense/"), {}, jnp.ones((1, 4)))[0].sum())(params)
    assert not np.any(frozen["dense"]["kernel"])
    assert np.any(frozen["dense_1"]["kernel"])
    new = tree.replace(params, {"dense/bias": jnp.ones(3)})
    np.testing.assert_array_equal(new["dense"]["bias"], np.ones(3))
    with pytest.raises(ValueError, match="has shape"):
        tree.replace(params, {"dense/bias": jnp.ones(4)})


def test_equinox_bridges():
    import equinox as eqx

    layer = layers.Dense(3, "tanh")
    params, state = layer.init(random.key(0), Spec((None, 4)))
    bound = kfun.bind(layer, params, state)
    x = jnp.ones((2, 4))
    grads = eqx.filter_grad(lambda f: f(x).sum())(bound)
    np.testing.assert_allclose(
        grads.params["kernel"], jax.grad(lambda p: layer.apply(p, {}, x)[0].sum())(params)["kernel"]
    )
    module = eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0))
    ours = kfun.from_equinox(module)
    params, state = ours.init(random.key(0), x)
    np.testing.assert_allclose(ours.apply(params, state, x)[0], jax.vmap(module)(x), rtol=1e-6)


def test_summary(capsys):
    kfun.summary(kfun.Sequential([layers.Dense(3), layers.BatchNormalization()]), Spec((None, 4)))
    text = capsys.readouterr().out
    assert "batch_normalization" in text
    assert "27 numbers, 108 B: 21 trained (84 B), 6 state (24 B)" in text
