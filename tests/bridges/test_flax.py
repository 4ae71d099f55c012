"""Flax modules as layers: mode, keys, state, drawn weights."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, training

linen = pytest.importorskip("flax.linen", reason="needs the extra flax")
nnx = pytest.importorskip("flax.nnx", reason="needs the extra flax")

X = jnp.asarray(np.random.default_rng(0).normal(1.0, 2.0, size=(16, 4)), "float32")
ONES = jnp.ones((64, 8))
SPEC = Spec((None, 4))
KEY, OTHER = kfun.random.key(1), kfun.random.key(2)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(4, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.drops = nnx.List([nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)])
        self.last = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        x = self.norm(self.first(x))
        for drop in self.drops:
            x = drop(x)
        return self.last(x)


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(linen.Dense(4)(x))
        return linen.Dense(2)(linen.Dropout(0.5)(x, deterministic=not train))


LAYERS = {
    "nnx": lambda: kfun.from_flax(Net(nnx.Rngs(0))),
    "nnx made": lambda: kfun.from_flax(Net),
    "linen": lambda: kfun.from_flax(Linen()),
}


def same(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


@pytest.fixture(params=LAYERS, scope="module")
def layer(request):
    return LAYERS[request.param]()


DROPOUTS = {
    "streams of its own": lambda: nnx.Dropout(0.5, rngs=nnx.Rngs(0)),
    "a stream of the call": lambda: nnx.Dropout(0.5),
    "linen": lambda: linen.Dropout(0.5),
    "made": lambda: functools.partial(nnx.Dropout, 0.5),
}


@pytest.mark.parametrize("make", DROPOUTS.values(), ids=DROPOUTS)
def test_dropout_goes_by_training_and_key(make):
    layer = kfun.from_flax(make())
    params, state = layer.init(KEY, Spec((None, 8)))
    for key in (KEY, None):
        np.testing.assert_array_equal(layer.apply(params, state, ONES, key=key)[0], ONES)
    run = jax.jit(lambda k: layer.apply(params, state, ONES, key=k, training=True))
    (first, new), (again, _), (other, _), (typed, _) = map(run, (KEY, KEY, OTHER, jax.random.key(1)))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, typed)
    assert np.any(first != other)
    assert set(np.unique(first)) == {0.0, 2.0}
    same(new, state, rtol=0)


def test_a_key_decides_what_is_drawn(layer):
    params, state = layer.init(KEY, SPEC)
    run = jax.jit(lambda s, k: layer.apply(params, s, X, key=k, training=True))
    first, new = run(state, KEY)
    np.testing.assert_array_equal(first, run(state, KEY)[0])
    np.testing.assert_allclose(first, run(new, KEY)[0], rtol=1e-5, atol=1e-6)  # whatever the state went through
    assert np.any(first != run(state, OTHER)[0])
    np.testing.assert_array_equal(layer.apply(params, new, X, key=KEY)[0], layer.apply(params, new, X, key=OTHER)[0])


def test_parts_of_an_nnx_module_draw_apart():
    class Two(nnx.Module):
        def __init__(self, rngs):
            self.one, self.two = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.one(x), self.two(x)

    layer = kfun.from_flax(Two)
    one, two = layer.apply(*layer.init(KEY, SPEC), ONES, key=KEY, training=True)[0]
    assert np.any(one != two)


def test_statistics_are_the_state(layer):
    params, state = layer.init(KEY, SPEC)
    _, new = layer.apply(params, state, X, key=KEY, training=True)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert layer.apply(params, new, X)[1].keys() == state.keys()
    same(layer.apply(params, new, X, key=KEY)[1], new, rtol=0)
    moved = [p for p, x in kfun.tree.flatten(new).items() if np.any(x != kfun.tree.flatten(state)[p])]
    assert {p.rsplit("/", 1)[1] for p in moved} == {"mean", "var"}


def test_statistics_are_those_of_nnx():
    module = Net(nnx.Rngs(0))
    layer = kfun.from_flax(module)
    params, state = layer.init(KEY, SPEC)
    module.train()
    for i in range(3):
        _, state = layer.apply(params, state, X, key=kfun.random.key(i), training=True)
        module(X)
    np.testing.assert_allclose(state["norm"]["mean"], module.norm.mean[...], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state["norm"]["var"], module.norm.var[...], rtol=1e-5)
    module.eval()
    np.testing.assert_allclose(layer.apply(params, state, X)[0], module(X), rtol=1e-5, atol=1e-6)


def test_without_a_key_streams_go_on():
    layer = kfun.from_flax(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
    params, state = layer.init(KEY, SPEC)
    first, new = layer.apply(params, state, ONES, training=True)
    assert int(new["rngs"]["count"]) == 1
    assert np.any(first != layer.apply(params, new, ONES, training=True)[0])


def test_a_function_of_rngs_draws_weights():
    layer = kfun.from_flax(Net)
    params, state = layer.init(KEY, SPEC)
    other, _ = layer.init(OTHER, SPEC)
    for name in ("first", "last"):
        assert np.any(params[name]["kernel"] != other[name]["kernel"])
    assert set(kfun.tree.flatten(params)) == set(kfun.tree.flatten(kfun.from_flax(Net(nnx.Rngs(0))).init(KEY, SPEC)[0]))
    module = Net(nnx.Rngs(jax.random.wrap_key_data(KEY)))
    module.eval()
    np.testing.assert_allclose(layer.apply(params, state, X)[0], module(X), rtol=1e-5, atol=1e-6)
    several = jax.vmap(lambda k: layer.init(k, SPEC)[0])(jnp.stack([KEY, OTHER]))
    same(jax.tree.map(lambda x: x[1], several), other, rtol=1e-5)
    assert layer.output_spec(SPEC) == Spec((None, 2))
    again = layer.init(KEY, SPEC)[0]  # nothing that was traced is left in the layer
    same(again, params, rtol=0)


def test_copies_differ_or_are_refused():
    for layer in (kfun.from_flax(lambda rngs: nnx.Linear(4, 4, rngs=rngs)), kfun.from_flax(linen.Dense(4))):
        net = kfun.Ensemble(layer, 3)
        params, state = net.init(KEY, SPEC)
        (kernel,) = (x for x in jax.tree.leaves(params) if x.shape == (3, 4, 4))
        assert np.all(kernel[0] != kernel[1])
        assert np.all(kernel[1] != kernel[2])
        assert net.apply(params, state, X)[0].shape == (3, 16, 4)
    fixed = kfun.from_flax(nnx.Linear(4, 4, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"from_flax\(lambda rngs: Linear"):
        kfun.Ensemble(fixed, 3).init(KEY, SPEC)
    with pytest.raises(ValueError, match="fixed weights"):
        jax.vmap(lambda k: fixed.init(k, SPEC))(jnp.stack([KEY, OTHER]))


def test_it_trains_inside_a_net(layer):
    net = kfun.Sequential([layer, kfun.layers.Dense(1)])
    step = training.make_train_step(net, "mse", "adam")
    state = step.init(KEY, SPEC)
    structure = jax.tree.structure(state)
    before = jax.tree.map(np.asarray, state.params)
    for _ in range(3):
        state, logs = step(state, (X, X[:, :1]))
    assert np.isfinite(float(logs["loss"]))
    assert jax.tree.structure(state) == structure
    assert all(np.any(a != b) for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(before), strict=True))


def test_missing_and_surplus_params_are_named():
    layer = kfun.from_flax(Net(nnx.Rngs(0)))
    params, state = layer.init(KEY, SPEC)
    with pytest.raises(ValueError, match="'last/kernel' is missing"):
        layer.apply(params | {"last": {"bias": params["last"]["bias"]}}, state, X)
    with pytest.raises(ValueError, match="'more' is no param"):
        layer.apply(params | {"more": X}, state, X)
    with pytest.raises(ValueError, match="'norm/mean' is missing"):
        layer.apply(params, {}, X)


def test_what_makes_no_nnx_module_is_refused():
    with pytest.raises(TypeError, match="give it as it is"):
        kfun.from_flax(lambda rngs: Linen()).init(KEY, SPEC)
