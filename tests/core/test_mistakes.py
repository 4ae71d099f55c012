"""Calls that experienced users get wrong once: the error names the layer, what is missing, and the way."""

from __future__ import annotations

import inspect
import pickle

import jax
import jax.numpy as jnp
import pytest

import kfun
from kfun import layers
from kfun.errors import ParameterError

X = jnp.ones((2, 3))


def _net():
    net = kfun.Sequential([layers.Dense(4), kfun.Sequential([layers.LayerNormalization(), layers.Dense(2)], name="in")])
    return net, *net.init(kfun.random.key(0), X)


@pytest.mark.parametrize("make", [
    lambda p: kfun.Remat(layers.Dense(2), policy=p), lambda p: layers.Dense(2, policy=p),
    lambda p: kfun.Sequential([layers.Dense(2)], policy=p),
])  # fmt: skip
def test_what_checkpoint_keeps_is_no_policy_of_types(make):
    with pytest.raises(TypeError, match=r"must be a kfun.Policy.*DotsSaveable.*`checkpoint_policy`"):
        make(jax.checkpoint_policies.dots_saveable)
    with pytest.raises(TypeError, match="received 'bfloat16'"):
        make("bfloat16")
    assert make(kfun.Policy(compute="bfloat16")).policy.compute == "bfloat16"


def test_graphs_point_to_of():
    i = kfun.Input((3,))
    o = layers.Dense(2)(i)
    for arguments in ((i, o), ([i], [o])):
        with pytest.raises(TypeError, match=r"Graph.of\(inputs, outputs\)"):
            kfun.Graph(*arguments)
    graph = kfun.Graph.of(i, o)
    assert pickle.loads(pickle.dumps(graph)) == graph == kfun.from_config(graph.to_config())
    assert list(inspect.signature(kfun.Graph).parameters)[:4] == ["steps", "layers", "count", "outputs"]


@pytest.mark.parametrize("net", [
    layers.Dense(2), kfun.Sequential([layers.Dense(2)]), kfun.Residual(kfun.Sequential([layers.Dense(3)])),
    kfun.Graph.of(i := kfun.Input((3,)), layers.Dense(2)(i)), kfun.Parallel((layers.Dense(2),)),
], ids=lambda net: type(net).__name__)  # fmt: skip
def test_a_state_that_was_forgotten_is_named(net):
    params, state = net.init(kfun.random.key(0), X)
    if not isinstance(net, kfun.Residual):
        with pytest.raises(TypeError, match=r"`state` is missing; received ArrayImpl"):
            net.apply(params, X)
    net.apply(params, state, X)


@pytest.mark.parametrize("compiled", [False, True])
def test_params_that_do_not_fit_are_named_by_path(compiled):
    net, params, state = _net()
    apply = jax.jit(net.apply) if compiled else net.apply
    assert apply(params, state, X)[0].shape == (2, 2)
    bad = params | {"dense": {"bias": params["dense"]["bias"], "kernle": params["dense"]["kernel"]}}
    with pytest.raises(ParameterError, match=r"Dense\(4\): 'dense/kernel' is missing.*'dense/kernle' is no weight"):
        apply(bad, state, X)
    inner = params["in"] | {"dense": params["in"]["dense"] | {"kernel": jnp.ones((5, 2))}}
    with pytest.raises(ParameterError, match=r"'in/dense/kernel' has shape \(5, 2\), expected \(4, 2\)"):
        apply(params | {"in": inner}, state, X)
    with pytest.raises(ParameterError, match="'in/layer_normalization/"):
        apply(params | {"in": {"dense": params["in"]["dense"]}}, state, X)
    with pytest.raises(KeyError, match="'kernel' is missing"):
        layers.Dense(4).apply({}, {}, X)


def test_layers_with_an_apply_of_their_own_are_named_too():
    net = kfun.Sequential([layers.BatchNormalization()])
    _, state = net.init(kfun.random.key(0), X)
    with pytest.raises(ParameterError, match="'batch_normalization/gamma' is missing"):
        net.apply({}, state, X)


def test_other_errors_stay_what_they_are():
    class Failing(kfun.Layer):
        def weights(self, x):
            return {"w": kfun.Weight((3,), kfun.initializers.get("ones"))}

        def forward(self, params, x):
            return {}["another"]

    net = kfun.Sequential([Failing()])
    with pytest.raises(KeyError, match="another") as caught:
        net.apply({"failing": {"w": jnp.ones(3)}}, {}, X)
    assert type(caught.value) is KeyError


def test_inputs_of_another_width_are_told_by_the_layer():
    dense = layers.Dense(2)
    params, state = dense.init(kfun.random.key(0), X)
    with pytest.raises(ValueError, match="received") as alone:
        dense.apply(params, state, jnp.ones((2, 5)))
    assert not isinstance(alone.value, ParameterError)
    with pytest.raises(ParameterError, match=r"'dense/kernel' has shape \(3, 2\), expected \(5, 2\)") as inside:
        kfun.Sequential([dense]).apply({"dense": params}, {}, jnp.ones((2, 5)))
    assert str(inside.value).startswith(str(alone.value))
