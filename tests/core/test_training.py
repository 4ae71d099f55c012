"""The training step and its driver against a loop written by hand with optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import Spec, layers, training
from kfun.training.epoch import singly


def _data(n=50):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, (x @ rng.normal(size=(4, 1))).astype("float32")


def test_metrics_with_a_size_per_class():
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    y = np.eye(3, dtype="float32")[np.arange(32) % 3]
    net = kfun.Sequential([kfun.layers.Dense(3, "softmax")])
    f1 = kfun.metrics.F1Score()
    step = kfun.training.make_train_step(net, "categorical_crossentropy", "sgd", {"f1": f1, "r2": "R2Score"})
    train_state = step.init(kfun.random.key(0), kfun.Spec((None, 4)))
    outputs, _ = net.apply(train_state.params, train_state.state, x)
    expected = f1(y, outputs)
    _, logs = step(train_state, (x, y))
    np.testing.assert_allclose(logs["f1"], expected, rtol=1e-6)
    assert logs["r2"].shape == ()


def test_epoch_is_the_plain_loop():
    x, y = _data()
    net = kfun.Sequential([layers.Dense(8, "tanh"), layers.Dense(1)])
    step = training.make_train_step(net, "mse", optax.adam(1e-2), metrics=["mean_absolute_error"])
    state = step.init(kfun.random.key(0), Spec((None, 4)))
    params = jax.tree.map(jnp.copy, state.params)
    opt = optax.adam(1e-2)
    slots = opt.init(params)

    def loss(p, xb, yb):
        return jnp.mean((net.apply(p, {}, xb)[0] - yb) ** 2)

    losses = []
    for i in range(0, 50, 16):
        value, grads = jax.value_and_grad(loss)(params, x[i : i + 16], y[i : i + 16])
        updates, slots = opt.update(grads, slots, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(value) * len(x[i : i + 16]))
    for size in (32, 2, 1):
        weights = net.init(kfun.ops.unstack(kfun.random.split(kfun.random.key(0)))[1], Spec((None, 4)))
        start = step.start(*weights, kfun.random.key(1))
        end, logs = training.epoch(step, start, training.ArrayFeed((x, y), 16), steps_per_dispatch=size)
        for a, b in zip(jax.tree.leaves(end.params), jax.tree.leaves(params), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert float(logs["loss"]) == pytest.approx(sum(losses) / 50, rel=1e-5)
        assert sorted(logs) == ["loss", "mean_absolute_error"]


def test_typed_keys_draw_what_plain_ones_do():
    net = kfun.Sequential([layers.Dense(8), layers.Dropout(0.5), layers.Dense(1)])
    step = training.make_train_step(net, "mean_squared_error", "sgd")
    batch = (jnp.ones((4, 3)), jnp.zeros((4, 1)))
    ends = []
    for key in (kfun.random.key(5), jax.random.key(5)):
        train_state = step.init(key, Spec((None, 3)))
        for _ in range(2):
            train_state, _ = step(train_state, batch)
        ends.append(train_state.params)
        assert train_state.key.dtype == key.dtype
    jax.tree.map(np.testing.assert_array_equal, *ends)


def test_a_short_last_group_needs_no_compile():
    x, y = _data(16 * 7)
    step = training.make_train_step(layers.Dense(1), "mse", "sgd")
    state = step.init(kfun.random.key(0), Spec((None, 4)))
    compiled = training.epoch.__globals__["compiled_group"](step)
    state, _ = training.epoch(step, state, training.ArrayFeed((x, y), 16), steps_per_dispatch=4)
    assert step._compiled_group is compiled
    sizes = [(g.count, jax.tree.leaves(g.batches)[0].shape[0]) for g in training.ArrayFeed((x, y), 16).groups(4)]
    assert sizes == [(4, 4), (3, 4)]


@pytest.mark.parametrize("size", [1, 2])
def test_the_newest_state_is_kept_without_code_of_python(size):
    """So that Ctrl-C cannot come between a step, which takes the memory of its state, and the keeping of the next."""
    x, y = _data(48)
    step = training.make_train_step(layers.Dense(1), "mse", "sgd")
    keep = []

    def fail(*args):
        raise KeyboardInterrupt

    for dispatch in (None, singly(step.once)):
        state = step.init(kfun.random.key(0), Spec((None, 4)))
        with pytest.raises(KeyboardInterrupt):
            training.epoch(
                step, state, training.ArrayFeed((x, y), 16), steps_per_dispatch=size, on_group=fail, keep=keep,
                dispatch=dispatch,
            )  # fmt: skip
        ((values, logs),) = keep
        assert type(values) is tuple
        assert np.isfinite(training.TrainState(*values).params["kernel"]).all()
        assert type(logs) is dict


def test_what_is_looked_at_goes_on_from_there():
    """A state that `on_group` gives replaces the one that steps were run on from."""
    x, y = _data(64)
    step = training.make_train_step(layers.Dense(1), "mse", "sgd")
    counts = []

    def ahead(state, group, first, keep):
        for i in range(first, group.count):
            state, logs = step(state, jax.tree.map(lambda a, i=i: a[i], group.batches))
            yield state, logs, 1

    def on_group(done, rows, logs, state):
        counts.append(done)
        return jax.tree.map(jnp.zeros_like, state) if done == 2 else None

    start = step.init(kfun.random.key(0), Spec((None, 4)))
    zeros = jax.tree.map(jnp.zeros_like, start)
    end, _ = training.epoch(step, start, training.ArrayFeed((x, y), 16), on_group=on_group, dispatch=ahead)
    assert counts == [1, 2, 3, 4]
    wanted, _ = training.epoch(step, zeros, training.ArrayFeed((x[32:], y[32:]), 16))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-6), end, wanted)


def test_streams_are_grouped_by_shape_and_errors_pass_through():
    x, y = _data()
    feed = training.StreamFeed(lambda: ((x[i : i + 16], y[i : i + 16]) for i in range(0, 50, 16)))
    assert [(g.count, g.rows) for g in feed.groups(8)] == [(3, 16), (1, 2)]

    def broken():
        yield x[:2], y[:2]
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"):
        list(training.StreamFeed(broken).groups(4))


def test_frozen_parameters_and_regularizer():
    x, y = _data()
    net = kfun.Sequential([layers.Dense(3), layers.Dense(1)])
    step = training.make_train_step(
        net, "mse", "sgd", frozen="^dense/", regularizer=lambda p: 0.0 * p["dense"]["bias"].sum()
    )
    state = step.init(kfun.random.key(0), Spec((None, 4)))
    before = jax.tree.map(np.asarray, state.params)
    state, _ = step(state, (x, y))
    np.testing.assert_array_equal(state.params["dense"]["kernel"], before["dense"]["kernel"])
    assert not np.allclose(state.params["dense_1"]["kernel"], before["dense_1"]["kernel"])


def test_learning_rate_is_state():
    x, y = _data()
    step = training.make_train_step(layers.Dense(1), "mse", kfun.optim.SGD(0.1))
    state = step.init(kfun.random.key(0), Spec((None, 4)))
    state, _ = step(state, (x, y))
    stopped = state._replace(optimizer=state.optimizer | {"learning_rate": jnp.float32(0)})
    before = np.asarray(state.params["kernel"])
    after, _ = step(stopped, (x, y))
    np.testing.assert_array_equal(after.params["kernel"], before)


def test_evaluation_leaves_the_weights():
    x, y = _data()
    net = kfun.Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)])
    train = training.make_train_step(net, "mse", "adam")
    state = train.init(kfun.random.key(0), Spec((None, 4)))
    evaluate = training.make_eval_step(net, "mse")
    before = jax.tree.map(np.asarray, (state.params, state.state))
    _, logs = training.epoch(evaluate, evaluate.reset(state), training.ArrayFeed((x, y), 16))
    wanted = np.mean((net.apply(*before, x)[0] - y) ** 2)
    assert float(logs["loss"]) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.ones((3, 4)), np.ones((2, 1))), "x: 3, y: 2"),
        ((np.ones((0, 4)), np.ones((0, 1))), "no rows"),
    ],
)
def test_bad_data(data, message):
    with pytest.raises(ValueError, match=message):
        training.ArrayFeed(data, 2)


def test_transformations_reach_each_framework():
    torch = pytest.importorskip("torch", reason="needs the extra torch")

    def f(x):
        return kfun.ops.sum(kfun.ops.power(x, 3))

    x = np.array([1.0, 2.0], "float32")
    for make in (jnp.asarray, torch.tensor):
        np.testing.assert_allclose(np.asarray(kfun.grad(f)(make(x))), 3 * x**2, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(kfun.hessian(f)(make(x))), np.diag(6 * x), rtol=1e-6)
        value, _ = kfun.value_and_grad(f)(make(x))
        assert float(value) == pytest.approx(9.0)
        np.testing.assert_allclose(np.asarray(kfun.vmap(kfun.grad(lambda v: v * v))(make(x))), 2 * x)
        np.testing.assert_allclose(np.asarray(kfun.jvp(f, (make(x),), (make(x),))[1]), 3 * (x**3).sum(), rtol=1e-6)
