"""Optimizers and schedules as definitions: Keras's fields, JSON, look-up, messages."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys

import keras
import optax
import pytest

import kfun
from kfun import optim

OPTIMIZERS = [
    name
    for name, cls in vars(optim).items()
    if isinstance(cls, type) and issubclass(cls, optim.Optimizer) and cls is not optim.Optimizer
]
SCHEDULES = [
    optim.schedules.ExponentialDecay(0.1, 100, 0.5, True),
    optim.schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2, 0.3]),
    optim.schedules.PolynomialDecay(0.1, 100),
    optim.schedules.InverseTimeDecay(0.1, 100, 0.5),
    optim.schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=10),
    optim.schedules.CosineDecayRestarts(0.1, 100),
]


def _make(name):
    needed = {"LossScaleOptimizer": "adam", "MultiOptimizer": optim.OptimizerMap("adam", {"bias$": "sgd"})}
    return getattr(optim, name)(*([needed[name]] if name in needed else []))


def _parameters(callable_):
    found = inspect.signature(callable_).parameters.values()
    return [(p.name, p.default) for p in found if p.name not in ("name", "kwargs") and p.kind != p.KEYWORD_ONLY]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arguments_are_those_of_keras(name):
    assert _parameters(getattr(optim, name)) == _parameters(getattr(keras.optimizers, name))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_schedule_arguments_are_those_of_keras(schedule):
    cls = type(schedule)
    assert _parameters(cls) == _parameters(getattr(keras.optimizers.schedules, cls.__name__))


def test_no_optimizer_of_keras_is_missing():
    known = {"OptimizerMap", "Optimizer", "LearningRateSchedule"}  # no optimizers of their own
    theirs = {n for n, v in vars(keras.optimizers).items() if isinstance(v, type)}
    assert theirs - known == set(OPTIMIZERS)
    theirs = {n for n, v in vars(keras.optimizers.schedules).items() if isinstance(v, type)}
    assert theirs - known == {type(s).__name__ for s in SCHEDULES}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_round_trips(name):
    definition = _make(name)
    assert kfun.from_config(json.loads(json.dumps(definition.to_config()))) == definition
    assert optim.get(json.loads(json.dumps(definition.to_config()))) == definition
    assert pickle.loads(pickle.dumps(definition)) == definition
    assert hash(_make(name)) == hash(definition)
    assert definition.build() is _make(name).build()
    assert isinstance(definition.build(), optax.GradientTransformation)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_round_trips_with_a_schedule(schedule):
    definition = optim.AdamW(schedule, exclude_from_weight_decay=["bias"], clipnorm=1, name="mine")
    assert kfun.from_config(json.loads(json.dumps(definition.to_config()))) == definition
    assert definition.prefix() == "mine"


def test_functions_take_the_arguments_of_definitions():
    assert optim.adamw(0.01, 0.1, clipnorm=1) is optim.AdamW(0.01, 0.1, clipnorm=1.0).build()
    assert list(inspect.signature(optim.sgd).parameters) == list(inspect.signature(optim.SGD).parameters)
    assert optim.sgd.__name__ == "sgd"


def test_get():
    for name in ("adam", "Adam", "ADAM"):
        assert optim.get(name) == optim.Adam()
    assert optim.get("RMSprop") == optim.get("rmsprop") == optim.RMSprop()
    assert optim.get(optim.Lion) == optim.Lion()
    definition, transformation = optim.Lion(0.1), optax.adam(0.1)
    assert optim.get(definition) is definition
    assert optim.get(transformation) is transformation
    assert optim.build(transformation) is transformation
    assert optim.build("lion") is optim.Lion().build()
    with pytest.raises(ValueError, match=r"unknown optimizer 'adma'; did you mean .*'adam'"):
        optim.get("adma")
    with pytest.raises(TypeError, match="expected the name of an optimizer"):
        optim.get(3)
    with pytest.raises(ValueError, match="the JSON of an optimizer; received that of CosineDecay"):
        optim.get(optim.schedules.CosineDecay(0.1, 10).to_config())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.Adam("fast"), "learning_rate: expected a number, a schedule or a function"),
        (lambda: optim.Adam(clipnorm=1.0, clipvalue=1.0), "at most one of .*received clipnorm, clipvalue"),
        (lambda: optim.Adam(ema_momentum=1.5), r"ema_momentum in \[0, 1\]; received 1.5"),
        (lambda: optim.Adam(ema_overwrite_frequency=0), "ema_overwrite_frequency of at least 1 or None; received 0"),
        (lambda: optim.Adam(gradient_accumulation_steps=1), "gradient_accumulation_steps of at least 2"),
        (lambda: optim.AdamW(weight_decay=None), "Use Adam for no decay"),
        (lambda: optim.SGD(momentum=1.5), r"momentum in \[0, 1\]; received 1.5"),
        (lambda: optim.Lion(beta_1=0.0), r"beta_1 in \(0, 1\]"),
        (lambda: optim.Ftrl(learning_rate_power=0.5), "learning_rate_power of 0 or below"),
        (lambda: optim.Ftrl(l1_regularization_strength=-1), "l1_regularization_strength of 0 or above"),
        (lambda: optim.LossScaleOptimizer(optim.LossScaleOptimizer("sgd")), "without a loss scale"),
        (lambda: optim.MultiOptimizer("adam"), "expected an OptimizerMap, or a function"),
        (lambda: optim.OptimizerMap("adam", ["sgd"]), "expected optimizer_map to be a dict of strings"),
        (lambda: optim.OptimizerMap("sgd", {"a.*": "sgd", ".*b": "sgd"})("ab"), "several keys of the OptimizerMap fit"),
        (lambda: optim.schedules.CosineDecay(0.1, 0), "decay_steps above 0"),
        (lambda: optim.schedules.CosineDecayRestarts(0.1, -1), "first_decay_steps above 0"),
        (lambda: optim.schedules.PiecewiseConstantDecay([1], [0.1]), "1 boundaries and 1 values"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_function_as_learning_rate_needs_a_registered_name_for_json():
    with pytest.raises(ValueError, match="register_function"):
        optim.Adam(optax.constant_schedule(0.1)).to_config()


def test_an_optimizer_of_ones_own():
    class Signed(optim.Optimizer):
        learning_rate: float = 0.5

        def step(self, path, scalars, gradient, x, slots):
            return kfun.ops.multiply(kfun.ops.sign(gradient), kfun.ops.negative(scalars)), slots

    import numpy as np

    optimizer = Signed(0.25, weight_decay=0.1).build()
    params = {"w": np.float32([1.0, -1.0])}
    updates, state = optimizer.update({"w": np.float32([3.0, -2.0])}, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.275, 0.275], 1e-6)
    assert set(state) == {"count", "learning_rate"}


def test_importing_kfun_does_not_import_optax():
    code = "import sys, kfun; assert 'optax' not in sys.modules; kfun.optim; assert 'optax' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
