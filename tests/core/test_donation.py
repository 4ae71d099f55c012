"""Whose memory a training step takes: the state's that it made itself, never that of arrays handed in."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import Spec, layers, training

X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
Y = X[:, :1]


def _net():
    return kfun.Sequential([layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(1)])


def _alive(tree):
    return all(not x.is_deleted() for x in jax.tree.leaves(tree) if isinstance(x, jax.Array))


def _epoch(step, state):
    return training.epoch(step, state, training.ArrayFeed((X, Y), 4))


@pytest.mark.parametrize("run", [lambda step, state: step(state, (X, Y)), _epoch])
@pytest.mark.parametrize("optimizer", ["adam", optax.adamw(1e-2), optax.ema(0.5)])
def test_what_is_handed_in_stays(run, optimizer):
    net, key = _net(), jax.random.PRNGKey(3)
    params, state = net.init(kfun.random.key(0), Spec((None, 4)))
    before = jax.tree.map(np.array, (params, state))
    step = training.make_train_step(net, "mse", optimizer)
    begun = step.start(params, state, key)
    assert begun.params["dense"]["kernel"] is not params["dense"]["kernel"]
    run(step, begun)
    assert _alive((params, state, key))
    assert not _alive(begun.params)
    jax.tree.map(np.testing.assert_array_equal, (params, state), before)


def test_arrays_of_a_foreign_module_stay():
    module = eqx.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))
    net = kfun.from_equinox(module)
    step = training.make_train_step(net, "mse", "sgd")
    key, spec = kfun.random.key(0), Spec((None, 4))
    for begun in (step.init(key, spec), step.start(*net.init(key, spec), key)):
        step(begun, (X, Y))
        assert _alive(eqx.filter(module, eqx.is_array))


def test_a_layer_that_hands_out_its_own_arrays_keeps_them():
    stored = jnp.ones((4, 1))

    class Pretrained(kfun.Layer):
        def init(self, key, *specs):
            return {"kernel": stored}, {}

        def apply(self, params, state, x, *, key=None, training=False):
            return x @ params["kernel"], state

    step = training.make_train_step(Pretrained(), "mse", "sgd")
    step(step.init(kfun.random.key(0), Spec((None, 4))), (X, Y))
    np.testing.assert_array_equal(stored, np.ones((4, 1)))


def test_numpy_arrays_are_not_written_into():
    kernel = np.ones((4, 1), "float32")
    step = training.make_train_step(layers.Dense(1, use_bias=False), "mse", "sgd")
    step(step.start({"kernel": kernel}, {}, ()), (X, Y))
    np.testing.assert_array_equal(kernel, np.ones((4, 1)))


def test_one_array_in_two_places_of_the_state():
    """Tied at the beginning: a buffer cannot be donated twice."""
    net = kfun.Sequential([layers.Dense(4, use_bias=False), layers.Dense(4, use_bias=False)])
    shared = jnp.eye(4)
    keeps = optax.GradientTransformation(lambda params: (params, params), lambda g, state, params: (g, state))
    step = training.make_train_step(net, "mse", keeps)
    state = step.start({"dense": {"kernel": shared}, "dense_1": {"kernel": shared}}, {}, ())
    state, logs = step(state, (X, X))
    assert _alive((state, shared))
    assert float(logs["loss"]) == 0.0


@pytest.mark.parametrize("run", [lambda step, state: step(state, (X, Y)), _epoch])
def test_without_donation_old_states_stay(run):
    net = _net()
    step = training.make_train_step(net, "mse", "adam", donate=False)
    donating = training.make_train_step(net, "mse", "adam")
    first = step.init(kfun.random.key(0), Spec((None, 4)))
    second, _ = run(step, first)
    again, _ = run(step, first)
    other, _ = run(donating, donating.init(kfun.random.key(0), Spec((None, 4))))
    assert _alive((first, second))
    for a, b, c in zip(*map(jax.tree.leaves, (second, again, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-6)


@pytest.mark.parametrize("run", [lambda step, state: step(state, (X, Y)), _epoch])
def test_training_goes_on_after_an_evaluation(run):
    net = _net()
    step, evaluate = training.make_train_step(net, "mse", "adam"), training.make_eval_step(net, "mse")
    state = step.init(kfun.random.key(0), Spec((None, 4)))
    state, _ = step(state, (X, Y))
    _, logs = run(evaluate, evaluate.reset(state))
    expected = np.mean((net.apply(state.params, state.state, X)[0] - Y) ** 2)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    step(state, (X, Y))


def test_the_pure_form_is_transformed():
    """`run` inside a scan of one's own gives what as many calls give."""
    step = training.make_train_step(_net(), "mse", "adam")
    begun = step.init(kfun.random.key(0), Spec((None, 4)))
    batches = jnp.asarray(X).reshape(3, 4, 4), jnp.asarray(Y).reshape(3, 4, 1)
    scanned, _ = jax.jit(lambda state, batches: jax.lax.scan(step.run, state, batches))(begun, batches)
    assert _alive(begun)
    for i in range(3):
        begun, _ = step(begun, jax.tree.map(lambda b, i=i: b[i], batches))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), begun, scanned)


def test_data_stay():
    x, y = jnp.asarray(X), jnp.asarray(Y)
    step = training.make_train_step(_net(), "mse", "adam")
    state = step.init(kfun.random.key(0), Spec((None, 4)))
    for size in (12, 5):
        state, _ = training.epoch(step, state, training.ArrayFeed((x, y), size))
    step(state, (x, y))
    assert _alive((x, y))
