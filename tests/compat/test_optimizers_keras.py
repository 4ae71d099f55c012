"""Optimizers as objects against real Keras: several at once, around others, user-written, in files; and optax's."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import optax
import pytest

import compat

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


def _fitted(api, optimizer, epochs=4):
    """A model of two layers from one seed, and its losses."""
    api.utils.set_random_seed(1)
    model = api.Sequential(
        [api.Input((3,)), api.layers.Dense(4, "tanh", name="encoder"), api.layers.Dense(2, name="decoder")]
    )
    model.compile(optimizer, "mse")
    return model, model.fit(X, Y, epochs=epochs, verbose=0, shuffle=False).history["loss"]


def _by_map(api):
    o = api.optimizers
    return o.MultiOptimizer(
        o.OptimizerMap(o.SGD(0.1, momentum=0.9), {".*decoder/.*": o.Adam(0.01, global_clipnorm=0.1), "x": o.RMSprop()}),
        loss_scale_factor=4.0,
    )


def _by_function(api):
    chosen = api.optimizers.SGD(0.1), api.optimizers.Adam(0.1)
    return api.optimizers.MultiOptimizer(lambda v: chosen["decoder" in v.path], name="both")


def _one_each(api):
    return api.optimizers.MultiOptimizer(lambda v: api.optimizers.Adam(0.05, clipnorm=0.1))


def _of_one_name(api):
    return api.optimizers.MultiOptimizer(lambda v: api.optimizers.Adam(0.05, name="same"))


def _scheduled(api):
    schedule = api.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    return api.optimizers.MultiOptimizer(api.optimizers.OptimizerMap(api.optimizers.Adam(schedule)))


def _scaled(api):
    return api.optimizers.LossScaleOptimizer(api.optimizers.Adam(0.01, weight_decay=0.1), dynamic_growth_steps=2)


def _scaled_several(api):
    return api.optimizers.LossScaleOptimizer(_by_map(api), 16.0)


OPTIMIZERS = [_by_map, _by_function, _one_each, _of_one_name, _scheduled, _scaled, _scaled_several]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_trajectories_and_variables_are_those_of_keras(make):
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        model, losses = _fitted(api, make(api))
        found.append((losses, model))
    (ours, mine), (theirs, real) = found
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert [v.path for v in mine.optimizer.variables] == [v.path for v in real.optimizer.variables]
    for a, b in zip(mine.optimizer.variables, real.optimizer.variables, strict=True):
        if a.path.startswith("loss_scale_optimizer/iteration"):  # Keras counts steps there that nothing reads
            continue
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=1e-4, atol=1e-6, err_msg=a.path)


@pytest.mark.parametrize("make", [_by_map, _scheduled, _scaled, _scaled_several])
def test_files_go_both_ways(make, tmp_path):
    """A file holds the state of every optimizer: training goes on alike on either side."""
    ours, _ = _fitted(compat, make(compat))
    ours.save(tmp_path / "ours.keras")
    theirs = keras.models.load_model(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    again = compat.models.load_model(tmp_path / "theirs.keras")
    losses = [m.fit(X, Y, epochs=3, verbose=0, shuffle=False).history["loss"] for m in (ours, theirs, again)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-5)


def test_apply_gradients_and_the_stateless_form():
    found = []
    for api in (compat, keras):
        model, _ = _fitted(api, "sgd", epochs=1)
        optimizer = _by_map(api)
        variables = model.trainable_variables
        optimizer.build(variables)
        gradients = [np.full(v.shape, 0.5, "float32") for v in variables]
        values, state = optimizer.stateless_apply(
            [v.value for v in optimizer.variables], gradients, [v.value for v in variables]
        )
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for a, v in zip((*values, *state), (*variables, *optimizer.variables), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(v.value), rtol=1e-5, atol=1e-6)
        scaled = float(np.asarray(optimizer.scale_loss(np.float32(1))))
        found.append((*map(np.asarray, values), scaled, optimizer.get_config()["loss_scale_factor"]))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_inner_optimizers_show_and_set_their_state():
    model, _ = _fitted(compat, _by_map(compat))
    adam, unused, sgd = model.optimizer.optimizers
    assert [int(o.iterations.numpy()) for o in (adam, unused, sgd)] == [4, 0, 4]
    sgd.learning_rate = 0.0
    adam.learning_rate.assign(0.0)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    moved = [np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)]
    assert moved[2] == moved[3] == 0  # SGD's momentum moves on, Adam's rate is a factor
    with pytest.raises(AttributeError, match="ask its `optimizers`"):
        _ = model.optimizer.learning_rate
    with pytest.raises(AttributeError, match="set those of its `optimizers`"):
        model.optimizer.learning_rate = 0.1
    model, _ = _fitted(compat, _scaled(compat))
    model.optimizer.learning_rate = 0.5
    assert float(model.optimizer.inner_optimizer.learning_rate) == 0.5


def test_optimizer_map():
    o = compat.optimizers
    found = o.OptimizerMap(o.SGD(), {"a/.*": o.Adam(), "b": o.RMSprop()})
    names = [found[path].name.partition("_")[0] for path in ("a/kernel", "b", "bb", "x/a/kernel")]
    assert names == ["adam", "rm", "sgd", "sgd"]
    assert len(found) == 2
    assert list(found) == ["a/.*", "b"]
    again = o.OptimizerMap.from_config(found.get_config())
    assert again.get_config() == found.get_config()
    found["a/k.*"] = o.SGD()
    with pytest.raises(ValueError, match="several keys"):
        _ = found["a/kernel"]
    del found["a/k.*"]
    for make, error, message in (
        (lambda: o.OptimizerMap("sgd"), TypeError, "expected an optimizer as the default"),
        (lambda: o.OptimizerMap(o.SGD(), [1]), TypeError, "expected optimizer_map to be a dict"),
        (lambda: found.__setitem__("b", o.SGD()), ValueError, "has 'b' already"),
        (lambda: found.__setitem__(3, o.SGD()), ValueError, "a string as the key"),
        (lambda: found.__setitem__("c", "sgd"), ValueError, "expected an optimizer"),
        (lambda: o.MultiOptimizer("sgd"), TypeError, "expected an OptimizerMap, or a function"),
        (lambda: _fitted(compat, o.MultiOptimizer(lambda v: None)), ValueError, "optimizer for the variable"),
        (lambda: o.LossScaleOptimizer("sgd", weight_decay=0.1), ValueError, "on the `inner_optimizer`"),
        (lambda: o.LossScaleOptimizer("sgd", foo=0.1), ValueError, "does not support arguments: `foo`"),
        (lambda: o.LossScaleOptimizer(o.LossScaleOptimizer("sgd")), TypeError, "expected an optimizer to wrap"),
    ):
        with pytest.raises(error, match=message):
            make()


def _written(api):
    class Momentum(api.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, **kwargs):
            super().__init__(learning_rate=learning_rate, **kwargs)

        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity")

        def update_step(self, gradient, variable, learning_rate):
            velocity = self.velocities[self._get_variable_index(variable)]
            self.assign(velocity, 0.9 * velocity + gradient)
            self.assign_sub(variable, learning_rate * velocity)

    return Momentum


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"clipnorm": 0.1}, {"global_clipnorm": 0.1}, {"clipvalue": 0.05}, {"weight_decay": 0.1},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}, {"gradient_accumulation_steps": 2},
        {"loss_scale_factor": 4.0}, {"schedule": True},
    ],
    ids=", ".join,
)  # fmt: skip
def test_a_user_written_optimizer(arguments):
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        given = dict(arguments)
        if given.pop("schedule", False):
            given["learning_rate"] = api.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
        model, losses = _fitted(api, _written(api)(**given), epochs=6)
        found.append((losses, [v.path for v in model.optimizer.variables]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    assert found[0][1] == found[1][1]


def _within_a_scale(api, inner):
    return api.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)


def _within_a_map(api, inner):
    o = api.optimizers
    return o.MultiOptimizer(o.OptimizerMap(inner, {".*decoder/.*": o.Adam(0.01)}), loss_scale_factor=2.0)


@pytest.mark.parametrize("around", [_within_a_scale, _within_a_map])
def test_a_user_written_optimizer_inside_others(around):
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        model, losses = _fitted(api, around(api, _written(api)(0.05, clipnorm=0.5, weight_decay=0.1)))
        found.append((losses, [v.path for v in model.optimizer.variables]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    assert found[0][1] == found[1][1]


def test_a_subclass_adds_a_variable_to_one_of_ours():
    found = []
    for api in (compat, keras):
        api.utils.clear_session()

        class Counting(api.optimizers.Adam):
            def build(self, variables):
                if self.built:
                    return
                super().build(variables)
                self.extra = self.add_variable((), initializer="ones", name="extra")

        model, losses = _fitted(api, Counting(0.05))
        found.append((losses, [v.path for v in model.optimizer.variables], float(model.optimizer.extra.numpy())))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    assert found[0][1:] == found[1][1:]


def test_a_user_written_optimizer_is_saved_and_wrapped(tmp_path):
    cls = compat.saving.register_keras_serializable("optimizers")(_written(compat))
    model, _ = _fitted(compat, cls(0.05, clipnorm=1.0))
    model.save(tmp_path / "m.keras")
    again = compat.models.load_model(tmp_path / "m.keras")
    losses = [m.fit(X, Y, epochs=3, verbose=0, shuffle=False).history["loss"] for m in (model, again)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    with pytest.raises(TypeError, match="unknown argument 'momentun'"):
        cls(momentun=0.9)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: optax.adam(0.01),
        lambda o: o.LossScaleOptimizer(optax.adam(0.01)),
        lambda o: o.MultiOptimizer(o.OptimizerMap(optax.sgd(0.1), {".*decoder/.*": optax.adam(0.01)})),
        lambda o: o.LossScaleOptimizer(o.MultiOptimizer(o.OptimizerMap(optax.adam(0.01)))),
        lambda o: o.Adam(optax.exponential_decay(0.1, 10, 0.5)),
    ],
)
def test_optax_everywhere(make, tmp_path):
    model, losses = _fitted(compat, make(compat.optimizers))
    assert losses[-1] < losses[0]
    assert int(model.optimizer.iterations.numpy()) == 4
    with pytest.raises(ValueError, match="file"):
        model.optimizer.get_config()
    model.save(tmp_path / "m.keras")  # without the optimizer, which is made of functions
    again = compat.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.optimizer is None
