"""Equinox modules as layers: mode, keys, state, names of weights, drawn weights."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import Spec, training

X = jnp.asarray(np.random.default_rng(0).normal(1.0, 2.0, size=(16, 4)), "float32")
SPEC = Spec((None, 4))
KEY, OTHER = kfun.random.key(1), kfun.random.key(2)


class Net(eqx.Module):
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    linear: eqx.nn.Linear

    def __init__(self, key, mode="batch"):
        self.norm = eqx.nn.BatchNorm(4, "batch", momentum=0.9, mode=mode)
        self.drop = eqx.nn.Dropout(0.5)
        self.linear = eqx.nn.Linear(4, 2, key=key)

    def __call__(self, x, state, *, key=None):
        x, state = self.norm(x, state)
        return self.linear(self.drop(x, key=key)), state


def made(mode="batch"):
    return eqx.nn.make_with_state(Net)(jax.random.key(0), mode)


def same(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


@pytest.mark.parametrize("takes_key", [True, None])
def test_dropout_goes_by_training_and_key(takes_key):
    layer = kfun.from_equinox(eqx.nn.Dropout(0.5), takes_key=takes_key)
    ones = jnp.ones((64, 8))
    np.testing.assert_array_equal(layer.apply({}, {}, ones, key=KEY, training=False)[0], ones)
    np.testing.assert_array_equal(layer.apply({}, {}, ones)[0], ones)
    first, again, other = (layer.apply({}, {}, ones, key=k, training=True)[0] for k in (KEY, KEY, OTHER))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert set(np.unique(first)) == {0.0, 2.0}
    assert np.any(first[0] != first[1])  # each example has a mask of its own
    with pytest.raises(RuntimeError, match="requires a key"):
        layer.apply({}, {}, ones, training=True)


def test_a_frozen_part_stays_frozen_in_training():
    layer = kfun.from_equinox(eqx.nn.inference_mode(eqx.nn.Dropout(0.5)))
    np.testing.assert_array_equal(layer.apply({}, {}, X, key=KEY, training=True)[0], X)


class Told(eqx.Module):
    """Gives what its call is told."""

    def __call__(self, x, *, inference=False):
        return x * (1.0 if inference else 2.0)


class Trains(eqx.Module):
    def __call__(self, x, training):
        return x * (2.0 if training else 1.0)


@pytest.mark.parametrize("module", [Told(), Trains()])
def test_modules_whose_call_is_told(module):
    layer = kfun.from_equinox(module)
    np.testing.assert_array_equal(layer.apply({}, {}, X)[0], X)
    np.testing.assert_array_equal(layer.apply({}, {}, X, training=True)[0], 2 * X)


@pytest.mark.parametrize("mode", ["batch", "ema"])
def test_a_state_of_equinox_is_the_state(mode):
    """Five training calls and one of evaluation against equinox's own recipe, from each form in which it comes."""
    module, state = made(mode)
    with_state_inside = Net(jax.random.key(0), mode)
    for layer in (kfun.from_equinox((module, state)), kfun.from_equinox(with_state_inside)):
        params, kept = layer.init(KEY, SPEC)
        own = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(state))
        for i in range(5):
            key = kfun.random.key(i)
            keys = jax.random.split(key, len(X))
            outputs, kept = jax.jit(lambda p, s, k, layer=layer: layer.apply(p, s, X, key=k, training=True))(
                params, kept, key
            )
            expected, own = jax.vmap(
                lambda x, s, k: module(x, s, key=k), axis_name="batch", in_axes=(0, None, 0), out_axes=(0, None)
            )(X, own, keys)
            np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
        same(jax.tree.leaves(kept), jax.tree.leaves(own), rtol=1e-6)
        outputs, after = layer.apply(params, kept, X)
        expected, _ = jax.vmap(eqx.nn.inference_mode(module), axis_name="batch", in_axes=(0, None), out_axes=(0, None))(
            X, own
        )
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
        same(after, kept, rtol=0)


def test_names_are_the_paths_of_fields():
    mlp = kfun.from_equinox(eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0)))
    params, state = mlp.init(KEY, SPEC)
    assert sorted(kfun.tree.flatten(params)) == ["layers/0/bias", "layers/0/weight", "layers/1/bias", "layers/1/weight"]
    assert state == {}
    params, state = kfun.from_equinox(made()).init(KEY, SPEC)
    assert sorted(kfun.tree.flatten(params)) == ["linear/bias", "linear/weight", "norm/bias", "norm/weight"]
    assert sorted(kfun.tree.flatten(state)) == [
        "norm/batch_counter", "norm/batch_state_index/0", "norm/batch_state_index/1",
    ]  # fmt: skip


def test_missing_and_surplus_params_are_named():
    layer = kfun.from_equinox(eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0)))
    params, _ = layer.init(KEY, SPEC)
    short = {"layers": {"0": params["layers"]["0"], "1": {"bias": params["layers"]["1"]["bias"]}}}
    with pytest.raises(ValueError, match="'layers/1/weight' is missing"):
        layer.apply(short, {}, X)
    with pytest.raises(ValueError, match="'from_equinox/layers/1/weight' is missing"):
        kfun.Sequential([layer]).apply({"from_equinox": short}, {}, X)
    with pytest.raises(ValueError, match="'extra' is no param"):
        layer.apply(params | {"extra": X}, {}, X)
    stateful = kfun.from_equinox(made())
    with pytest.raises(ValueError, match="'norm/batch_counter' is missing"):
        stateful.apply(stateful.init(KEY, SPEC)[0], {}, X)


def test_definitions_are_equal_by_value():
    def mlp(seed, **kwargs):
        return kfun.from_equinox(eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(seed)), **kwargs)

    assert mlp(0) == mlp(0)
    assert hash(mlp(0)) == hash(mlp(0))
    assert mlp(0) != mlp(1)
    assert mlp(0) != mlp(0, batched=False)
    assert mlp(0) != kfun.from_equinox(eqx.nn.MLP(4, 2, 8, 2, key=jax.random.key(0)))
    assert mlp(0) != kfun.from_equinox(eqx.nn.MLP(4, 2, 8, 1, activation=jax.nn.gelu, key=jax.random.key(0)))
    assert kfun.from_equinox(Net(jax.random.key(0))) == kfun.from_equinox(made())
    assert kfun.Sequential([mlp(0)]) == kfun.Sequential([mlp(0)])

    def make(key):
        return eqx.nn.Linear(4, 2, key=key)

    assert kfun.from_equinox(make) == kfun.from_equinox(make=make)
    traces = []

    @jax.jit
    def run(bound, x):
        traces.append(1)
        return bound(x)

    for seed in (0, 0):
        run(kfun.bind(mlp(seed), *mlp(seed).init(KEY, SPEC)), X)
    assert len(traces) == 1


def test_a_function_of_a_key_draws_weights():
    layer = kfun.from_equinox(lambda key: eqx.nn.MLP(4, 2, 8, 1, key=key))
    params, state = layer.init(KEY, SPEC)
    module = eqx.nn.MLP(4, 2, 8, 1, key=KEY)
    np.testing.assert_allclose(layer.apply(params, state, X)[0], jax.vmap(module)(X), rtol=1e-5, atol=1e-6)
    other, _ = layer.init(OTHER, SPEC)
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True):
        assert np.any(a != b)
    same(jax.jit(layer.init, static_argnums=1)(KEY, SPEC)[0], params, rtol=1e-6)
    several = jax.vmap(lambda k: layer.init(k, SPEC)[0])(jnp.stack([KEY, OTHER]))
    same(jax.tree.map(lambda x: x[1], several), other, rtol=1e-6)
    weights = layer.weights(SPEC)
    assert sorted(weights["layers"]["0"]) == ["bias", "weight"]
    assert layer.output_spec(SPEC) == Spec((None, 2))
    by_class = kfun.from_equinox(make=jax.tree_util.Partial(eqx.nn.Linear, 4, 2))
    same(by_class.init(KEY, SPEC)[0]["weight"], eqx.nn.Linear(4, 2, key=KEY).weight, rtol=1e-6)


def test_a_function_may_give_a_state():
    for make in (Net, eqx.nn.make_with_state(Net)):
        layer = kfun.from_equinox(make)
        params, state = layer.init(KEY, SPEC)
        outputs, new = layer.apply(params, state, X, key=OTHER, training=True)
        assert outputs.shape == (16, 2)
        assert int(new["norm"]["batch_counter"]) == 1
        assert new["norm"]["batch_counter"].dtype == state["norm"]["batch_counter"].dtype


@pytest.mark.parametrize("combinator", [kfun.Ensemble, kfun.Stack])
def test_copies_of_drawn_weights_differ(combinator):
    net = combinator(kfun.from_equinox(lambda key: eqx.nn.Linear(4, 4, key=key)), 3)
    params, state = net.init(KEY, SPEC)
    (weight,) = (x for x in jax.tree.leaves(params) if x.shape == (3, 4, 4))
    assert np.all(weight[0] != weight[1])
    assert np.all(weight[1] != weight[2])
    bound = 1 / np.sqrt(4)
    assert np.all(np.abs(weight) <= bound)
    assert net.apply(params, state, X)[0].shape in {(3, 16, 4), (16, 4)}


@pytest.mark.parametrize("combinator", [kfun.Ensemble, kfun.Stack])
def test_copies_of_fixed_weights_are_refused(combinator):
    fixed = kfun.from_equinox(eqx.nn.Linear(4, 4, key=jax.random.key(0)))
    with pytest.raises(ValueError, match=r"lambda key: Linear\(\.\.\., key=key\)"):
        combinator(fixed, 3).init(KEY, SPEC)
    params, state = fixed.init(KEY, SPEC)
    stacked = jax.tree.map(lambda w: jnp.stack([w] * 3), params)
    assert combinator(fixed, 3).apply(stacked, state, X)[0].shape in {(3, 16, 4), (16, 4)}
    combinator(fixed, 1).init(KEY, SPEC)
    norm = eqx.nn.BatchNorm(4, "batch", channelwise_affine=False, mode="batch")
    combinator(kfun.from_equinox(norm), 3).init(KEY, SPEC)  # a state may begin equal


def test_a_map_over_init_of_fixed_weights_is_refused():
    fixed = kfun.from_equinox(eqx.nn.Linear(4, 4, key=jax.random.key(0)))
    keys = jnp.stack([KEY, OTHER])
    for init in (lambda k: fixed.init(k, SPEC), jax.jit(lambda k: fixed.init(k, SPEC))):
        with pytest.raises(ValueError, match="fixed weights"):
            jax.vmap(init)(keys)
        same(init(KEY), fixed.init(KEY, SPEC), rtol=0)


def test_it_trains_inside_a_net():
    net = kfun.Sequential([kfun.layers.Dense(4), kfun.from_equinox(made()), kfun.layers.Dense(1)])
    step = training.make_train_step(net, "mse", optax.adamw(0.02))
    state = step.init(KEY, SPEC)
    before = jax.tree.map(np.asarray, state)
    losses = []
    for _ in range(30):
        state, logs = step(state._replace(metrics=step.reset(state).metrics), (X, X[:, :1]))
        losses.append(float(logs["loss"]))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert int(state.state["from_equinox"]["norm"]["batch_counter"]) == 30
    assert np.any(state.params["from_equinox"]["linear"]["weight"] != before.params["from_equinox"]["linear"]["weight"])
    assert jax.tree.structure(before) == jax.tree.structure(state)


def test_other_arrays_are_state():
    class Picks(eqx.Module):
        order: jax.Array
        key: jax.Array

        def __call__(self, x):
            return x[self.order] + jax.random.normal(self.key, x.shape)

    module = Picks(jnp.array([3, 1, 0, 2]), jax.random.key(7))
    layer = kfun.from_equinox(module)
    params, state = layer.init(KEY, SPEC)
    assert params == {}
    assert sorted(state) == ["key", "order"]
    np.testing.assert_allclose(layer.apply(params, state, X)[0], jax.vmap(module)(X), rtol=1e-6)


def test_collectives_find_the_batch_axis():
    class Centred(eqx.Module):
        def __call__(self, x):
            return x - jax.lax.pmean(x, "examples")

    layer = kfun.from_equinox(Centred(), axis_name="examples")
    np.testing.assert_allclose(layer.apply({}, {}, X)[0].mean(0), np.zeros(4), atol=1e-6)
    two = eqx.nn.Sequential([eqx.nn.BatchNorm(4, "a", mode="ema"), eqx.nn.BatchNorm(4, "b", mode="ema")])
    net = kfun.from_equinox(two)
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        net.apply(*net.init(KEY, SPEC), X, training=True)


def test_what_is_no_module_is_refused():
    for wrong in (3, None, (eqx.nn.Dropout(0.5), 3)):
        with pytest.raises(TypeError, match="expected an equinox module"):
            kfun.from_equinox(wrong)
    with pytest.raises(ValueError, match=r"from_equinox\(\(module, state\)\)"):
        kfun.from_equinox(made()[0])
    with pytest.raises(TypeError, match="received both"):
        kfun.from_equinox(eqx.nn.Dropout(0.5), make=lambda key: eqx.nn.Dropout(0.5))
    with pytest.raises(TypeError, match="received dict"):
        kfun.from_equinox(lambda key: {}).init(KEY, SPEC)
