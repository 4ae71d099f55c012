"""Steps that run ahead of callbacks of batches: nobody can tell it from steps that run one by one."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import compat as keras
from compat.training import run_ahead
from compat.training.run_ahead import Ahead

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(230, 6)).astype("float32"), RNG.normal(size=(230, 1)).astype("float32")


def model():
    keras.utils.set_random_seed(4)
    layers = [keras.layers.Dense(5, "relu"), keras.layers.Dropout(0.4), keras.layers.BatchNormalization()]
    made = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(1)])
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return made


@pytest.fixture
def sizes(monkeypatch):
    """How many steps ran at once, by their numbers, where it begins at once; with `limit` at most so many do."""
    found = []
    monkeypatch.setattr(run_ahead, "_LOOKS", 3)
    monkeypatch.setattr(run_ahead, "_COMPILE", 0.0)
    monkeypatch.setattr(run_ahead, "BURST", 10.0)
    size = Ahead.size

    def noted(self, state, batches, left):
        found.append(min(size(self, state, batches, left), noted.limit))
        return found[-1]

    noted.limit = 100
    monkeypatch.setattr(Ahead, "size", noted)
    return found


class Keeper(keras.callbacks.Callback):
    """Keeps the logs, and does something at one batch."""

    def __init__(self, at=None, act=None):
        super().__init__()
        self.at, self.act, self.logs, self.found, self.count = at, act, [], None, 0

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))
        if self.count == self.at:
            self.found = self.act(self.model)
        self.count += 1


def stop(model):
    model.stop_training = True


def fail(model):
    raise KeyboardInterrupt


def slower(model):
    model.optimizer.learning_rate = 0.001


ACTS = {
    "nothing": lambda model: None,
    "reads weights": lambda model: model.get_weights(),
    "reads the count": lambda model: int(model.optimizer.iterations),
    "writes weights": lambda model: model.layers[0].kernel.assign(np.ones((6, 5), "float32")),
    "sets the rate": slower,
    "evaluates": lambda model: model.evaluate(X, Y, verbose=0),
    "stops": stop,
    "is interrupted": fail,
}


@pytest.mark.parametrize("at", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (13, 25, 29))])
@pytest.mark.parametrize("act", ACTS)
def test_a_callback_sees_the_model_after_its_batch(act, at, sizes):
    found = []
    for limit in (100, 1):
        Ahead.size.limit = limit
        made, keeper, history = model(), Keeper(at, ACTS[act]), None
        data = {"validation_data": (X[:20], Y[:20])}
        try:
            history = made.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[keeper], **data).history
        except KeyboardInterrupt:
            assert act == "is interrupted"
        found.append((keeper.logs, keeper.found, history, made.get_weights(), made.optimizer.iterations.numpy()))
        assert (max(sizes) > 1) == (limit > 1)
        sizes.clear()
    assert len(found[0][0]) == len(found[1][0]) == (at + 1 if act in ("stops", "is interrupted") else 30)
    jax.tree.map(lambda ours, alone: np.testing.assert_allclose(ours, alone, rtol=2e-5, atol=1e-6), *found)


class Looks(keras.callbacks.Callback):
    """Looks at the optimizer at every batch."""

    def on_train_batch_end(self, batch, logs=None):
        self.rate = float(self.model.optimizer.learning_rate)


def test_who_looks_at_every_batch_gets_single_steps(sizes):
    made = model()
    made.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[Looks()])
    assert set(sizes) == {1}
    assert made._step("train").ahead.program is None
    made.fit(X, Y, batch_size=16, verbose=0, callbacks=[Keeper()])
    assert max(sizes) > 1


def test_steps_with_effects_run_once(sizes):
    seen = []

    class Shows(keras.Sequential):
        def train_step(self, data):
            jax.debug.callback(lambda: seen.append(1))
            x, y = data
            return {"loss": keras.ops.mean((self(x) - y) ** 2)}

    made = Shows([keras.Input((6,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    made.fit(X[:160], Y[:160], batch_size=16, epochs=2, verbose=0, callbacks=[Keeper()])
    jax.effects_barrier()
    assert (set(sizes), len(seen)) == ({1}, 20)


def test_large_states_are_not_kept_twice(sizes, monkeypatch):
    monkeypatch.setattr(run_ahead, "LARGEST", 100)
    made = model()
    made.fit(X, Y, batch_size=16, verbose=0, callbacks=[Keeper()])
    assert set(sizes) == {1}
    assert made._step("train").ahead.refused


def test_slow_steps_run_one_by_one(sizes, monkeypatch):
    monkeypatch.setattr(run_ahead, "BURST", 0.0)
    model().fit(X, Y, batch_size=16, verbose=0, callbacks=[Keeper()])
    assert set(sizes) == {1}


def test_evaluation(sizes):
    losses = []
    made = model()
    calls = keras.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    plain = made.evaluate(X, Y, batch_size=16, verbose=0)
    seen = made.evaluate(X, Y, batch_size=16, verbose=0, callbacks=[calls])
    assert max(sizes) > 1
    np.testing.assert_allclose(seen, plain, rtol=1e-6)
    assert len(losses) == 15
    np.testing.assert_allclose(losses[-1], plain[0], rtol=1e-6)
    np.testing.assert_allclose(losses[0], made.evaluate(X[:16], Y[:16], verbose=0)[0], rtol=1e-5)


def test_a_fit_with_its_own_settings_runs_ahead_when_it_pays():
    """Without the settings of the other tests: not in few steps, and then for good."""
    made, x = model(), np.zeros((16 * 60, 6), "float32")
    made.fit(x, x[:, :1], batch_size=16, verbose=0, callbacks=[Keeper()])
    stepper = made._step("train").ahead
    assert stepper.done > 0
    assert stepper.program is None
    stepper.spent += 1.0
    made.fit(x, x[:, :1], batch_size=16, verbose=0, callbacks=[Keeper()])
    assert stepper.program is not None
