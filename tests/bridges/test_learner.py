"""`kfun.learner`, and methods of blocks on bound modules."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import layers

KEY, SPEC = kfun.random.key(0), kfun.Spec((None, 3))
X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)), "float32")
NET = kfun.Sequential([layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(1)])


class Coder(kfun.Block):
    """Two layers, by name."""

    encoder: layers.Dense
    decoder: layers.Dense
    dropout: layers.Dropout

    def forward(self, f, x):
        return self.decode(f, self.encode(f, x))

    def encode(self, f, x, scale=1.0):
        return scale * f.encoder(x)

    def decode(self, f, z):
        return f.dropout(f.decoder(z))


@pytest.fixture
def coder():
    block = Coder(layers.Dense(2), layers.Dense(3), layers.Dropout(0.5))
    return kfun.bind(block, *block.init(KEY, SPEC))


def _loss(net, x):
    outputs, net = net.with_state(x)
    return jnp.mean(jnp.square(outputs - 1)), net


@pytest.mark.parametrize("optimizer", ["adam", kfun.optim.Adam(1e-2), optax.adam(1e-2)], ids=["name", "ours", "optax"])
def test_steps_are_those_written_out_with_params_and_state(optimizer):
    learner = kfun.learner(NET, optimizer, KEY, SPEC)
    (params, state), transformation = NET.init(KEY, SPEC), learner.optimizer
    slots = transformation.init(params)

    @jax.jit
    def step(learner, x):
        (value, net), grads = eqx.filter_value_and_grad(_loss, has_aux=True)(learner.net, x)
        return learner.apply_gradients(grads, state=net.state), value

    @jax.jit
    def by_hand(params, state, slots, x):
        def loss(params):
            outputs, new = NET.apply(params, state, x, training=True)
            return jnp.mean(jnp.square(outputs - 1)), new

        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, slots = transformation.update(grads, slots, params)
        return optax.apply_updates(params, updates), state, slots, value

    for _ in range(3):
        learner, value = step(learner, X)
        params, state, slots, wanted = by_hand(params, state, slots, X)
        np.testing.assert_allclose(value, wanted, rtol=1e-5)
    for found, wanted in ((learner.net.params, params), (learner.net.state, state)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)
    assert not np.allclose(learner.net.state["batch_normalization"]["moving_mean"], 0)


def test_the_state_stays_where_none_is_given_and_has_no_slot():
    learner = kfun.learner(NET, optax.adamw(1e-2, weight_decay=0.5), KEY, SPEC)
    grads = eqx.filter_grad(lambda net: jnp.mean(net(X)))(learner.net)
    after = learner.apply_gradients(grads)
    jax.tree.map(np.testing.assert_array_equal, after.net.state, learner.net.state)
    assert jax.tree.structure(learner.slots[0].mu) == jax.tree.structure(learner.net.params)
    again = learner.apply_gradients(grads.params)
    jax.tree.map(np.testing.assert_array_equal, after, again)


def test_learners_are_mapped_and_scanned():
    keys = jax.random.split(jax.random.key(0), 3)
    population = jax.vmap(lambda key: kfun.learner(layers.Dense(1), optax.sgd(0.1), key, SPEC))(keys)

    def step(learner, x):
        return learner.apply_gradients(jax.grad(lambda net: jnp.mean(net(x) ** 2))(learner.net)), None

    trained = jax.vmap(lambda learner: jax.lax.scan(step, learner, jnp.stack([X, X]))[0])(population)
    one = jax.tree.map(lambda leaf: leaf[1], population)
    for _ in range(2):
        one, _ = step(one, X)
    np.testing.assert_allclose(trained.net.params["kernel"][1], one.net.params["kernel"], rtol=1e-5)
    assert len({float(k.sum()) for k in trained.net.params["kernel"]}) == 3


def test_what_an_optimizer_takes_beside_gradients():
    learner = kfun.learner(layers.Dense(1), optax.polyak_sgd(1.0), KEY, SPEC)
    loss, grads = jax.value_and_grad(lambda net: jnp.mean((net(X) - 1) ** 2))(learner.net)
    after = learner.apply_gradients(grads, value=loss)
    assert float(jnp.mean((after.net(X) - 1) ** 2)) < float(loss)


def test_learners_of_one_definition_share_what_is_compiled():
    traces = []

    @jax.jit
    def step(learner):
        traces.append(1)
        return learner.net(X)

    step(kfun.learner(NET, "adam", KEY, SPEC))
    step(kfun.learner(NET, kfun.optim.Adam(), kfun.random.key(1), SPEC))
    assert len(traces) == 1


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, eqx.filter_jit], ids=["eager", "jit", "filter_jit"])
def test_methods_of_a_block_are_methods_of_the_bound_module(coder, transform):
    block, params = coder.layer, coder.params
    z = transform(lambda net, x: net.encode(x, scale=2.0))(coder, X)
    np.testing.assert_allclose(z, block.apply(params, {}, X, method="encode", scale=2.0)[0], rtol=1e-6)
    np.testing.assert_allclose(transform(lambda net, z: net.decode(z))(coder, z / 2), coder(X), rtol=1e-6)
    dropped = transform(lambda net, z: net.decode(z, key=KEY, training=True))(coder, z)
    np.testing.assert_allclose(
        dropped, block.apply(params, {}, z, method="decode", key=KEY, training=True)[0], rtol=1e-6
    )


def test_methods_are_differentiated_and_mapped(coder):
    grads = jax.grad(lambda net: jnp.sum(net.encode(X)))(coder)
    np.testing.assert_allclose(grads.params["encoder"]["bias"], [8.0, 8.0])
    np.testing.assert_array_equal(grads.params["decoder"]["kernel"], np.zeros((2, 3)))
    np.testing.assert_allclose(jax.vmap(coder.encode)(X), coder.encode(X), rtol=1e-5, atol=1e-6)


def test_unknown_names_of_a_bound_module_name_their_neighbours(coder):
    with pytest.raises(AttributeError, match="bound Coder has no 'decod'; did you mean 'decode'"):
        coder.decod(X)
    dense = kfun.bind(layers.Dense(2), *layers.Dense(2).init(KEY, SPEC))
    with pytest.raises(AttributeError, match="bound Dense has no 'trainabel'; did you mean 'trainable'"):
        dense.trainabel()
    assert not hasattr(coder, "encoder"), "weights of a part are in params, its definition in layer"
