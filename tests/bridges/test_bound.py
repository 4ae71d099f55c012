"""`kfun.bind` in programs written for equinox and optax: the params train, the state does not."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import Spec, layers

X = jnp.asarray(np.random.default_rng(0).normal(1.0, 2.0, size=(16, 4)), "float32")
Y = X[:, :1]
NET = kfun.Sequential([layers.Dense(3), layers.BatchNormalization(momentum=0.9), layers.Dropout(0.2), layers.Dense(1)])


def bound(seed=0):
    return kfun.bind(NET, *NET.init(kfun.random.key(seed), Spec((None, 4))))


def loss(model, key=None):
    outputs, model = model.with_state(X, key=kfun.random.key(1) if key is None else key)
    return jnp.mean((outputs - Y) ** 2), model


def same(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


@pytest.mark.parametrize(
    "optimizer", [optax.adamw(0.1, weight_decay=0.5), optax.sgd(0.1), optax.lamb(0.1, weight_decay=0.5)]
)
def test_the_usual_recipe_leaves_the_state(optimizer):
    model = bound()
    slots = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, slots):
        grads = eqx.filter_grad(lambda m: jnp.mean((m(X, training=True, key=kfun.random.key(0)) - Y) ** 2))(model)
        updates, slots = optimizer.update(grads, slots, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), slots

    trained = model
    for _ in range(5):
        trained, slots = step(trained, slots)
    same(trained.state, model.state, rtol=0)
    for old, new in zip(jax.tree.leaves(model.params), jax.tree.leaves(trained.params), strict=True):
        assert np.any(old != new)


def test_batch_statistics_train_as_by_hand():
    """The recipe of the docstring against the layer's own `apply`, `jax.grad` and optax on dicts."""
    optimizer = optax.adamw(0.05, weight_decay=0.1)

    @eqx.filter_jit
    def step(model, slots, key):
        (value, model), grads = eqx.filter_value_and_grad(loss, has_aux=True)(model, key)
        updates, slots = optimizer.update(grads, slots, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), slots, value

    @jax.jit
    def by_hand(params, state, slots, key):
        def objective(params):
            outputs, new = NET.apply(params, state, X, key=key, training=True)
            return jnp.mean((outputs - Y) ** 2), new

        (value, state), grads = jax.value_and_grad(objective, has_aux=True)(params)
        updates, slots = optimizer.update(grads, slots, params)
        return optax.apply_updates(params, updates), state, slots, value

    model = bound()
    params, state = model.params, model.state
    slots, own = optimizer.init(eqx.filter(model, eqx.is_inexact_array)), optimizer.init(params)
    first = value = None
    for i in range(5):
        key = kfun.random.key(i)
        model, slots, value = step(model, slots, key)
        params, state, own, expected = by_hand(params, state, own, key)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        first = value if first is None else first
    same(model.params, params, rtol=1e-4, atol=1e-5)
    same(model.state, state, rtol=1e-5)
    assert float(value) < float(first)
    assert np.all(np.abs(model.state["batch_normalization"]["moving_variance"] - 1) > 1e-3)


def test_gradients_are_those_of_the_params():
    model = bound()
    grads = eqx.filter_grad(lambda m: jnp.sum(m(X)))(model)
    expected = jax.grad(lambda p: jnp.sum(NET.apply(p, model.state, X)[0]))(model.params)
    same(grads.params, expected, rtol=1e-6)
    assert set(jax.tree.leaves(grads.state, is_leaf=lambda x: x is None)) == {None}


def test_trainable_is_a_filter_and_a_mask():
    model = bound()
    chosen, rest = eqx.partition(model, model.trainable())
    assert len(jax.tree.leaves(chosen)) == len(jax.tree.leaves(model.params))
    assert jax.tree.leaves(rest.params) == []
    same(eqx.combine(chosen, rest), model, rtol=0)
    grads = jax.grad(lambda c: jnp.sum(eqx.combine(c, rest)(X)))(chosen)
    assert len(jax.tree.leaves(grads)) == len(jax.tree.leaves(model.params))

    masks = [model.trainable(), lambda _: model.trainable()]
    for optimizer in [optax.adamw(0.1, mask=m) for m in masks] + [optax.masked(optax.adam(0.1), m) for m in masks]:
        for params in (chosen, eqx.filter(model, eqx.is_inexact_array)):
            updates, _ = optimizer.update(grads, optimizer.init(params), params)
            new = eqx.apply_updates(model, updates)
            same(new.state, model.state, rtol=0)
            assert np.any(new.params["dense"]["kernel"] != model.params["dense"]["kernel"])

    frozen = eqx.tree_at(lambda m: m.params["dense"], model.trainable(), replace=False)
    assert set(eqx.filter(model, frozen).params["dense"].values()) == {None}


def test_the_state_goes_through_the_transformations():
    """jit, vmap over models, scan, tree_at, serialisation: bit for bit."""
    model = loss(bound())[1]
    same(eqx.filter_jit(lambda m: m)(model), model, rtol=0)
    np.testing.assert_allclose(eqx.filter_jit(model)(X), model(X), rtol=1e-5, atol=1e-6)

    keys = jax.random.split(kfun.random.key(0), 3)
    several = eqx.filter_vmap(lambda k: kfun.bind(NET, *NET.init(k, X)))(keys)
    values, several = eqx.filter_vmap(loss)(several, keys)
    assert several.state["batch_normalization"]["moving_mean"].shape == (3, 3)
    second = jax.tree.map(lambda x: x[1], several)
    np.testing.assert_allclose(loss(bind_of(keys[1]), keys[1])[0], values[1], rtol=1e-5)
    same(second.state, loss(bind_of(keys[1]), keys[1])[1].state, rtol=1e-5, atol=1e-6)

    dynamic, static = eqx.partition(model, eqx.is_array)

    def body(carry, key):
        _, new = loss(eqx.combine(carry, static), key)
        return eqx.filter(new, eqx.is_array), None

    scanned = eqx.combine(jax.lax.scan(body, dynamic, keys)[0], static)
    looped = model
    for key in keys:
        looped = loss(looped, key)[1]
    same(scanned.state, looped.state, rtol=1e-5, atol=1e-6)

    kernel = jnp.zeros_like(model.params["dense"]["kernel"])
    changed = eqx.tree_at(lambda m: m.params["dense"]["kernel"], model, kernel)
    assert not np.any(changed.params["dense"]["kernel"])
    same(changed.state, model.state, rtol=0)


def bind_of(key):
    return kfun.bind(NET, *NET.init(key, X))


def test_serialisation(tmp_path):
    model = loss(bound())[1]
    eqx.tree_serialise_leaves(tmp_path / "m.eqx", model)
    again = eqx.tree_deserialise_leaves(tmp_path / "m.eqx", bound(1))
    same(again, model, rtol=0)
    np.testing.assert_array_equal(again(X), model(X))


@pytest.mark.parametrize(
    "value",
    [
        np.array([1.5, -0.0, np.inf], "float32"),
        np.array([1.5, -2.0], "float64"),
        jnp.asarray([1.5, -2.0], "bfloat16"),
        jnp.asarray([1.5, -2.0], "float16"),
        jnp.asarray([1.5, -2.0], "float8_e4m3fn"),
        jnp.asarray([1.5 + 2j, -1j], "complex64"),
        jnp.float32(2.5),
        np.float32(2.5),
        jnp.asarray([1, 2], "int32"),
        jnp.asarray([True, False]),
        jax.random.key(3),
    ],
)
def test_state_of_every_type(value):
    model = kfun.bind(layers.Dense(1), {}, {"s": value})
    expected = value if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended) else jnp.asarray(value)
    for read in (model.state["s"], eqx.filter_jit(lambda m: m.state["s"])(model)):
        assert read.dtype == expected.dtype
        assert np.all(read == expected)
    assert jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)) == []


def test_arithmetic_on_the_bits_is_refused():
    models = [loss(bound())[1], loss(bound(1))[1]]
    mean = jax.tree.map(lambda *xs: jnp.mean(jnp.stack(xs), 0), *models)
    moved = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, *models)
    for model in (mean, moved):
        with pytest.raises(TypeError, match=r"make kfun\.bind"):
            model(X)
    state = jax.tree.map(lambda *xs: sum(xs) / 2, *(m.state for m in models))
    averaged = kfun.bind(NET, mean.params, state)
    assert np.all(np.isfinite(averaged(X)))


def test_arrays_of_other_frameworks():
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    layer = layers.BatchNormalization()
    weights = layer.init(kfun.random.key(0), X)
    native = kfun.bind(layer, *kfun.convert(weights, "torch"))(torch.tensor(np.asarray(X)))
    np.testing.assert_allclose(native, kfun.bind(layer, *weights)(X), rtol=1e-5, atol=1e-6)
    given = kfun.bind(layer, *kfun.to_numpy(weights))
    assert isinstance(given.state["moving_mean"], np.ndarray)
    np.testing.assert_allclose(given(X), native, rtol=1e-5, atol=1e-6)
