"""What a training step hands to losses that are functions, to metrics and to optimizers that evaluate the loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import layers, losses
from kfun.training import make_eval_step, make_train_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 3)).astype("float32")
Y = (X @ np.array([[1.0], [2.0], [3.0]]) + 0.5).astype("float32")
KEY, SPEC = kfun.random.key(0), kfun.Spec((None, 3))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16", "float32"])
@pytest.mark.parametrize("parts", [False, True])
def test_a_function_is_given_targets_in_their_type(dtype, parts):
    seen = []

    def loss(y, outputs):
        seen.append((y.dtype.name, outputs.dtype.name))
        return jnp.square(outputs - y.astype("float32"))

    net = kfun.Parallel([layers.Dense(1), layers.Dense(1)]) if parts else layers.Dense(1)
    y = np.ones((16, 1), dtype)
    step = make_train_step(net, [loss, loss] if parts else loss, "sgd")
    state = step.init(KEY, SPEC)
    evaluate = make_eval_step(net, [loss, loss] if parts else loss)
    evaluate(evaluate.reset(state), (X, (y, y) if parts else y))
    step(state, (X, (y, y) if parts else y))
    assert set(seen) == {(dtype, "float32")}


def test_class_numbers_index_what_a_function_picks():
    labels = np.arange(16) % 4
    step = make_train_step(layers.Dense(4), lambda y, z: -jax.nn.log_softmax(z)[jnp.arange(len(y)), y], "sgd")
    state = step.init(KEY, SPEC)
    logits = step.net.apply(state.params, state.state, X)[0]
    wanted = losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    np.testing.assert_allclose(step(state, (X, labels))[1]["loss"], wanted, rtol=1e-6)


def test_functions_of_ours_are_still_given_targets_in_the_type_of_predictions():
    wrapper = losses.get(losses.mean_squared_error)
    assert not wrapper.integer_labels
    assert losses.get(lambda y, z: z).integer_labels


def _mean_square(params):
    return jnp.mean(jnp.square(X @ params["kernel"] + params["bias"] - Y))


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.lbfgs(),
        optax.polyak_sgd(1.0),
        optax.chain(optax.sgd(1e-2), optax.contrib.reduce_on_plateau(patience=1, rtol=1.0, factor=0.5)),
        optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=8)),
    ],
    ids=["lbfgs", "polyak_sgd", "reduce_on_plateau", "backtracking"],
)
def test_optimizers_that_evaluate_the_loss(optimizer):
    step = make_train_step(layers.Dense(1), "mse", optimizer)
    state = step.init(KEY, SPEC)
    params, slots = jax.tree.map(jnp.array, state.params), optimizer.init(state.params)

    @jax.jit
    def by_hand(params, slots):
        value, grads = jax.value_and_grad(_mean_square)(params)
        updates, slots = optimizer.update(grads, slots, params, value=value, grad=grads, value_fn=_mean_square)
        return optax.apply_updates(params, updates), slots, value

    for _ in range(4):
        state, logs = step(step.reset(state), (X, Y))
        params, slots, value = by_hand(params, slots)
        np.testing.assert_allclose(logs["loss"], value, rtol=1e-3, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), state.params, params)


def test_lbfgs_finds_the_least_squares_of_what_is_not_frozen():
    step = make_train_step(layers.Dense(1), "mse", optax.lbfgs(), frozen="bias")
    state = step.init(KEY, SPEC)
    for _ in range(12):
        state, _ = step(state, (X, Y))
    wanted = np.linalg.lstsq(X, Y, rcond=None)[0]
    np.testing.assert_allclose(state.params["kernel"], wanted, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(state.params["bias"], [0.0])


@pytest.mark.parametrize(("params", "logged"), [("float64", "float64"), ("float32", "float32")])
def test_the_loss_is_logged_as_wide_as_the_params(x64, params, logged):
    step = make_train_step(layers.Dense(1), "mse", "sgd")
    drawn, state = layers.Dense(1).init(KEY, SPEC)
    start = jax.tree.map(lambda x: x.astype(params), drawn)
    train_state = step.start(start, state, KEY)
    x, y = X.astype(params), Y.astype(params)
    wanted = np.mean(np.square(x @ np.asarray(start["kernel"]) - y), dtype="float64")
    for _ in range(2):  # a reset keeps the type
        _, logs = step(step.reset(step.start(start, state, KEY)), (x, y))
        assert logs["loss"].dtype == logged
        np.testing.assert_allclose(logs["loss"], wanted, rtol=1e-12 if params == "float64" else 1e-5)
    assert train_state.metrics["loss"][0].dtype == logged
