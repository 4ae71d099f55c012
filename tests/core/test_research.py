"""Composition as research programs use it: weights and methods of blocks, pytrees, stacks, names, surplus params."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, layers, ops, random
from tests.core.test_own_init import Around, graph_of

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32")
KEY = random.key(7)


class Autoencoder(kfun.Block):
    parts: dict
    scale: float = 2.0

    def encode(self, f, x):
        return f.parts["encoder"](x) * f.param("gain", (), "ones")

    def decode(self, f, z):
        return f.parts["decoders"][0](z) + f.parts["decoders"][1](z)

    def forward(self, f, x):
        seen = f.state("seen", (), "zeros", "int32")
        seen.value = seen.value + x.shape[0]
        return self.decode(f, self.encode(f, x)) * self.scale


def _autoencoder():
    return Autoencoder({"encoder": layers.Dense(2), "decoders": (layers.Dense(4), layers.Dense(4))})


@pytest.mark.parametrize("compiled", [False, True])
def test_weights_state_methods_and_nested_fields_of_a_block(compiled):
    net = _autoencoder()
    params, state = net.init(KEY, Spec((None, 4)))
    assert list(params) == ["parts_encoder", "gain", "parts_decoders_0", "parts_decoders_1"]
    assert set(net.sublayers) == {"parts_encoder", "parts_decoders_0", "parts_decoders_1"}
    assert state == {"seen": 0}
    apply = jax.jit(net.apply, static_argnames="method") if compiled else net.apply
    params["gain"] = jnp.asarray(3.0)
    z, kept = apply(params, state, X, method="encode")
    np.testing.assert_allclose(z, 3 * X @ params["parts_encoder"]["kernel"], rtol=1e-5)
    assert kept == {"seen": 0}
    y, new = apply(params, state, X)
    np.testing.assert_allclose(y, 2 * apply(params, state, z, method="decode")[0], rtol=1e-5)
    assert new == {"seen": 5}
    np.testing.assert_array_equal(
        net.apply(params, state, X, method=Autoencoder.encode)[0], net.apply(params, state, X, method="encode")[0]
    )
    grads = jax.grad(lambda p: net.apply(p, state, X)[0].sum())(params)
    assert grads["gain"] != 0
    assert kfun.from_config(net.to_config()) == net


def test_methods_of_a_block_inside_and_what_each_call_needs():
    class Both(kfun.Block):
        inner: Autoencoder

        def forward(self, f, x):
            return f.inner.decode(f.inner.encode(x))

    net = Both(_autoencoder())
    params, state = net.init(KEY, X)
    assert set(params["inner"]) == {"parts_encoder", "gain", "parts_decoders_0", "parts_decoders_1"}
    y, _ = net.apply(params, state, X)
    np.testing.assert_allclose(y, net.inner.apply(params["inner"], {"seen": jnp.asarray(0)}, X)[0] / 2, rtol=1e-5)
    with pytest.raises(ValueError, match="no method 'encod'; did you mean 'encode'"):
        net.inner.apply(params["inner"], {}, X, method="encod")
    assert net.inner.output_spec(Spec((None, 4)), method="encode") == Spec((None, 2))


def test_mistakes_with_weights_of_ones_own():
    class Named(kfun.Block):
        inner: layers.Dense
        shape: tuple = (3,)
        kind: str = "own"

        def forward(self, f, x):
            return x + f.param(self.kind, self.shape)

    net = Named(layers.Dense(3))
    params, state = net.init(KEY, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"'own' has shape .3,.; the block asks for .4,."):
        net.replace(shape=(4,)).apply(params, state, jnp.ones((2, 4)))
    with pytest.raises(ValueError, match=r"param 'other' is missing; received .'own'."):
        net.replace(kind="other").apply(params, state, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="'inner' is the name of a layer inside"):
        net.replace(kind="inner").init(KEY, jnp.ones((2, 3)))

    class Shrinking(kfun.Block):
        def forward(self, f, x):
            f.state("last", (3,)).value = x[0, :2]
            return x

    with pytest.raises(ValueError, match="'last' keeps shape and dtype"):
        Shrinking().init(KEY, jnp.ones((2, 3)))


class Message(kfun.Block):
    """A graph network: a dict of arrays in, a call argument."""

    node: layers.Dense
    edge: layers.Dense

    def forward(self, f, graph, scale=None):
        nodes = f.node(graph["nodes"])
        sent = ops.take(nodes, graph["senders"], 0) + f.edge(graph["edges"])
        nodes = nodes + ops.segment_sum(sent, graph["receivers"], nodes.shape[0])
        return {**graph, "nodes": nodes if scale is None else nodes * scale["by"]}


def test_init_takes_pytrees_and_call_arguments():
    graph = {
        "nodes": jnp.ones((3, 4)), "edges": jnp.ones((2, 2)),
        "senders": jnp.array([0, 1]), "receivers": jnp.array([1, 2]),
    }  # fmt: skip
    net, scale = Message(layers.Dense(4), layers.Dense(4)), {"by": jnp.full((3, 1), 2.0)}
    specs = jax.tree.map(Spec.of, (graph, scale))
    for given in ((graph, scale), specs):
        params, state = net.init(KEY, given[0], scale=given[1])
        assert params["edge"]["kernel"].shape == (2, 4)
        y = net.apply(params, state, graph, scale=scale)[0]
        np.testing.assert_allclose(y["nodes"], 2 * net.apply(params, state, graph)[0]["nodes"], rtol=1e-6)
    assert net.output_spec(specs[0], scale=specs[1])["nodes"] == Spec((3, 4))
    stack = kfun.Stack(net, 3)
    params, state = stack.init(KEY, graph)
    y, new = graph, state
    for i in range(3):
        p = jax.tree.map(lambda a, i=i: a[i], params)
        y, _ = net.apply(p, {}, y)
    np.testing.assert_allclose(stack.apply(params, new, graph)[0]["nodes"], y["nodes"], rtol=1e-5)


class Cached(kfun.Block):
    """A layer with an input and an output of its own."""

    dense: layers.Dense

    def forward(self, f, x, bias):
        y = f.dense(x) + bias
        return y, {"sum": ops.sum(y, -1)}


@pytest.mark.parametrize("options", [{}, {"unroll": 2}, {"remat": True}, {"remat": "dots_saveable"}])
def test_stack_with_inputs_and_outputs_per_layer(options):
    stack, biases = kfun.Stack(Cached(layers.Dense(4)), 3, **options), jnp.arange(12.0).reshape(3, 4)
    params, state = stack.init(KEY, Spec((None, 4)), xs=Spec((3, 4)))
    y, sums = jax.jit(lambda p: stack.apply(p, state, X, xs=biases)[0])(params)
    x, wanted = X, []
    for i in range(3):
        x = x @ params["dense"]["kernel"][i] + biases[i]
        wanted.append(x.sum(-1))
    np.testing.assert_allclose(y, x, rtol=1e-4)
    np.testing.assert_allclose(sums["sum"], wanted, rtol=1e-4)
    assert stack.output_spec(X, xs=biases)[1]["sum"] == Spec((3, 5))
    jaxpr = str(jax.make_jaxpr(jax.grad(lambda p: stack.apply(p, state, X, xs=biases)[0][0].sum()))(params))
    assert ("remat" in jaxpr or "checkpoint" in jaxpr) == ("remat" in options)
    if "unroll" in options:
        assert "unroll=2" in jaxpr
    with pytest.raises(ValueError, match="keep its input's shape and dtype"):
        kfun.Stack(layers.Dense(5), 2).init(KEY, X)
    with pytest.raises(ValueError, match="the layer must give what it takes"):
        kfun.Stack(kfun.Parallel((layers.Dense(4),) * 3), 2).init(KEY, X)


def test_checkpoint_policies_by_name_and_by_value():
    for policy in (jax.checkpoint_policies.dots_saveable, "dots_saveable"):
        net = kfun.Remat(layers.Dense(4, "tanh"), checkpoint_policy=policy)
        params, state = net.init(KEY, X)
        text = str(jax.make_jaxpr(jax.grad(lambda p, s, n=net: n.apply(p, s, X)[0].sum()))(params, state))
        assert "DotsSaveable" in text or "dots_saveable" in text
    assert kfun.from_config(net.to_config()) == net
    with pytest.raises(TypeError, match=r"must be one of jax.checkpoint_policies"):
        kfun.Remat(layers.Dense(4), checkpoint_policy=3)


def test_layers_are_named_in_the_compiled_program():
    net = kfun.Sequential([layers.Dense(4), kfun.Sequential([layers.Dense(2)], name="head")])
    params, state = net.init(KEY, X)
    text = jax.jit(net.apply).lower(params, state, X).as_text(debug_info=True)
    assert "head/dense" in text


def test_names_of_sublayers_are_public():
    net = kfun.Sequential(
        [layers.Dense(4), layers.Dense(2), kfun.Residual(kfun.Sequential([layers.Dense(2)], name="r"))]
    )
    assert list(net.sublayers) == ["dense", "dense_1", "residual"]
    assert list(net.sublayers["residual"].sublayers) == ["dense"]
    assert layers.Dense(2).sublayers == {}
    assert list(graph_of(layers.Dense(4)).sublayers) == ["dense"]
    assert list(kfun.Parallel((layers.Dense(1), layers.Dense(1))).sublayers) == ["dense", "dense_1"]
    assert list(layers.TimeDistributed(layers.Dense(1)).sublayers) == ["layer"]
    assert list(layers.Bidirectional(layers.LSTM(1)).sublayers) == ["forward_layer", "backward_layer"]


@pytest.mark.parametrize("make", [
    lambda: (kfun.Sequential([layers.Dense(2)]), "dense"), lambda: (graph_of(layers.Dense(2)), "dense"),
    lambda: (kfun.Parallel((layers.Dense(2),)), "dense"), lambda: (Around(layers.Dense(2)), "inner"),
])  # fmt: skip
def test_surplus_params_are_refused(make):
    net, name = make()
    params, state = net.init(KEY, X)
    with pytest.raises(kfun.errors.ParameterError, match="'extra' is no weight of the layer"):
        net.apply(params | {"extra": {}}, state, X)
    more = {name: params[name] | {"scale": jnp.ones(2)}}
    with pytest.raises(kfun.errors.ParameterError, match=f"'{name}/scale' is no weight of the layer"):
        jax.jit(net.apply)(more, state, X)
    flat = {"dense": params[name]} if name == "inner" else params
    if name == "dense":
        bare = kfun.Sequential([layers.Dense(2, use_bias=False)])
        with pytest.raises(kfun.errors.ParameterError, match="'dense/bias' is no weight of the layer"):
            bare.apply(flat, state, X)


def test_two_layers_of_one_name_in_a_block():
    class Clash(kfun.Block):
        a: tuple
        a_0: layers.Dense

        def forward(self, f, x):
            return f.a[0](f.a_0(x))

    with pytest.raises(ValueError, match="two layers would be named 'a_0'"):
        Clash((layers.Dense(4),), layers.Dense(4)).init(KEY, X)


def test_definitions_stay_definitions():
    net = dataclasses.replace(_autoencoder(), scale=1.0)
    assert hash(net) == hash(_autoencoder().replace(scale=1.0))
    assert jax.jit(lambda p, s, x, n: n.apply(p, s, x)[0], static_argnums=3)(*net.init(KEY, X), X, net).shape == (5, 4)
