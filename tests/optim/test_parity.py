"""Trajectories against Keras's optimizers, and of one backend against another."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import kfun
from kfun import optim
from kfun.optim._trees import flatten
from kfun.testing import installed_backends
from tests.conftest import GRAPHS
from tests.optim.trajectories import assert_same, by_keras, by_kfun, flat, start

EVERYTHING = {
    "weight_decay": 0.02,
    "clipnorm": 0.5,
    "use_ema": True,
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 2,
    "loss_scale_factor": 8.0,
    "gradient_accumulation_steps": 3,
}
RULES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "epsilon": 0.1}),
    ("AdamW", {}),
    ("RMSprop", {}),
    ("RMSprop", {"centered": True, "rho": 0.8, "learning_rate": 1e-4}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "epsilon": 0.01}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Adamax", {"learning_rate": 0.01, "epsilon": 0.1}),
    ("Nadam", {"learning_rate": 0.01}),
    ("Lion", {"weight_decay": 0.1}),
    ("Ftrl", {"learning_rate": 0.1}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.5,
        },
    ),
    ("Lamb", {"weight_decay": 0.1}),
    ("Adafactor", {}),
    ("Adafactor", {"learning_rate": 0.5, "relative_step": False, "weight_decay": 0.01, "clip_threshold": 0.5}),
    ("Muon", {"learning_rate": 0.01}),
    ("Muon", {"nesterov": False, "exclude_layers": ["head"], "rms_rate": None, "adam_lr_ratio": 0.1}),
    ("ScheduleFreeAdamW", {"warmup_steps": 10, "weight_decay": 0.1}),
]
MORE_RULES = [
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True}),
    ("RMSprop", {"momentum": 0.9, "epsilon": 0.01}),
    ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 0.1}),
    ("Lamb", {"learning_rate": 0.01}),
    ("Muon", {"exclude_embeddings": False, "weight_decay": None, "ns_steps": 3}),
    ("ScheduleFreeAdamW", {}),
    ("Adam", {"clipnorm": 1.0}),
    ("Adam", {"use_ema": True}),
    ("SGD", EVERYTHING),
    ("Nadam", EVERYTHING),
]
WRAPPERS = [
    ("SGD", {"weight_decay": 0.1, "momentum": 0.9}),
    ("SGD", {"clipnorm": 1.0}),
    ("SGD", {"clipvalue": 0.5}),
    ("SGD", {"global_clipnorm": 2.0}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}),
    ("Nadam", {"gradient_accumulation_steps": 4}),
    ("Adafactor", {"gradient_accumulation_steps": 2, "use_ema": True}),
    ("Muon", {"gradient_accumulation_steps": 2, "use_ema": True}),
    ("SGD", {"loss_scale_factor": 128.0}),
    ("Adam", EVERYTHING),
]


def _name(case):
    return f"{case[0]}-{'-'.join(case[1]) if len(case[1]) < 5 else 'everything'}"


def _cases():
    for cases, marks in ((RULES + WRAPPERS, ()), (MORE_RULES, pytest.mark.slow)):
        yield from (pytest.param(*case, id=_name(case), marks=marks) for case in cases)


@pytest.mark.parametrize(("name", "arguments"), list(_cases()))
def test_trajectory_is_that_of_keras(name, arguments):
    definition = getattr(optim, name)(**arguments)
    expected, variables = by_keras(lambda keras: getattr(keras, name)(**arguments))
    received, state = by_kfun(definition.build())
    assert_same(received, expected)
    _assert_same_variables(definition, state, variables)


def _assert_same_variables(definition, state, expected):
    """Keras's variables, by name and in order, are found in the state with their values."""
    ours, entries = definition.variables(start()[0]), flatten(state)
    assert [v.path for v in ours] == [path for path, _ in expected]
    for variable, (path, value) in zip(ours, expected, strict=True):
        assert variable.shape == value.shape, path
        assert variable.dtype == str(value.dtype), path
        if variable.state_path is not None:
            scale = np.abs(value).max()
            np.testing.assert_allclose(entries[variable.state_path], value, 1e-4, 1e-5 * scale, err_msg=path)
            assert np.asarray(entries[variable.state_path]).dtype == value.dtype, path


def test_weight_decay_exclusions_are_those_of_keras():
    arguments = {"learning_rate": 0.01, "weight_decay": 0.1}
    expected, _ = by_keras(lambda keras: keras.AdamW(**arguments), exclude=("bias", "gain"))
    received, _ = by_kfun(optim.adamw(**arguments, exclude_from_weight_decay=("bias", "gain")))
    assert_same(received, expected)
    everywhere, _ = by_kfun(optim.adamw(**arguments))
    with pytest.raises(AssertionError):
        assert_same(everywhere, expected)


@pytest.mark.parametrize("accumulate", [None, 3])
def test_a_schedule_sees_every_call_as_in_keras(accumulate):
    def make(keras):
        schedule = keras.schedules.CosineDecay(0.0, 40, warmup_target=0.02, warmup_steps=8)
        return keras.Adam(schedule, gradient_accumulation_steps=accumulate)

    schedule = optim.schedules.CosineDecay(0.0, 40, warmup_target=0.02, warmup_steps=8)
    definition = optim.Adam(schedule, gradient_accumulation_steps=accumulate)
    expected, variables = by_keras(make)
    received, state = by_kfun(definition.build())
    assert_same(received, expected)
    _assert_same_variables(definition, state, variables)
    assert state["count"] == 50


def test_dynamic_loss_scale_is_that_of_keras():
    """The scale doubles every 8 steps until float16 gradients overflow; those steps are skipped and halve it."""
    import jax
    import keras

    keras.utils.clear_session()
    weights, first_scale = np.float32([[1.0, -2.0], [0.5, 3.0]]), 2.0**12
    variable = keras.Variable(weights, name="kernel")
    theirs = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, momentum=0.9), first_scale, 8)
    theirs.build([variable])
    definition = optim.LossScaleOptimizer(optim.SGD(0.1, 0.9), first_scale, 8)
    ours = definition.build()
    x, values, variables = {"kernel": jax.numpy.asarray(weights)}, [variable.value], [v.value for v in theirs.variables]
    state, apply, update = ours.init(x), jax.jit(theirs.stateless_apply), jax.jit(ours.update)
    scales = []
    for _ in range(80):
        half = values[0].astype("float16") * variables[3].astype("float16")
        values, variables = apply(variables, [half], values)
        half = x["kernel"].astype("float16") * state["dynamic_scale"].astype("float16")
        updates, state = update({"kernel": half}, state, x)
        x = optim.apply_updates(x, updates)
        np.testing.assert_allclose(x["kernel"], values[0], 1e-5, 1e-6)
        assert state["dynamic_scale"] == variables[3]
        assert state["step_counter"] == variables[2]
        assert state["count"] == variables[4]
        scales.append(float(state["dynamic_scale"]))
    assert max(scales) >= 2.0**15
    assert any(b < a for a, b in itertools.pairwise(scales))
    assert [v.path for v in definition.variables(x)] == [v.path for v in theirs.variables]


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 100, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 70, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 50, 200], "values": [1.0, 0.5, 0.1, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 100}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 70, "power": 2.0, "cycle": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5, "staircase": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 200, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 200, "warmup_target": 0.1, "warmup_steps": 50}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 30}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 40, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.1},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 25, "t_mul": 1.5, "m_mul": 0.9}),
]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_schedule_is_that_of_keras(name, arguments):
    import jax
    import keras

    steps = jax.numpy.arange(400)
    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    ours = getattr(optim.schedules, name)(**arguments)
    expected = np.array(jax.lax.map(theirs, steps))
    # One rounding of the phase moves a cosine near its zero; hence the floor of one part in 1e6 of the peak.
    np.testing.assert_allclose(kfun.vmap(ours)(steps), expected, 1e-5, 1e-6 * expected.max())
    assert ours(steps[0]).dtype == "float32"
    for backend in installed_backends():
        if backend in GRAPHS:
            continue
        with kfun.backend(backend):
            rates = [kfun.ops.convert_to_numpy(ours(kfun.ops.convert_to_tensor(np.int32(t)))) for t in (0, 33, 399)]
        np.testing.assert_allclose(rates, expected[[0, 33, 399]], 1e-5, 1e-6 * expected.max(), err_msg=backend)


FRAMEWORKS = [b for b in installed_backends() if b in ("numpy", "torch", "tensorflow")]
EVERYWHERE = [
    optim.SGD(0.01, 0.9, True, weight_decay=0.1, global_clipnorm=2.0),
    optim.Adam(amsgrad=True, clipnorm=1.0),
    optim.AdamW(use_ema=True, ema_overwrite_frequency=4, gradient_accumulation_steps=3),
    optim.RMSprop(1e-4, momentum=0.9, centered=True),
    optim.Adagrad(),
    optim.Adadelta(1.0),
    optim.Adamax(),
    optim.Nadam(),
    optim.Lion(clipvalue=0.5),
    optim.Ftrl(0.1, l1_regularization_strength=0.1),
    optim.Lamb(),
    optim.Adafactor(),
    optim.Muon(),
    optim.ScheduleFreeAdamW(),
    optim.LossScaleOptimizer("adam", 2.0, 5),
]


@functools.cache
def _on_jax(definition, steps):
    return by_kfun(definition.build(), steps=steps)[0]


@pytest.mark.parametrize("backend", FRAMEWORKS)
@pytest.mark.parametrize("definition", EVERYWHERE, ids=lambda d: type(d).__name__)
def test_every_backend_goes_the_same_way(definition, backend):
    received, state = by_kfun(definition.build(), backend, steps=9)
    assert_same(received, _on_jax(definition, 9))
    kind = kfun.ops._kinds.kind_named(backend)
    assert all(isinstance(x, kind.types or np.ndarray) for x in flatten(state).values())


def test_compiled_by_tensorflow():
    definition = optim.AdamW(0.01, global_clipnorm=1.0, gradient_accumulation_steps=2)
    expected, _ = by_kfun(definition.build(), steps=6)
    params, gradients = start()
    params, transformation = kfun.convert(params, "tensorflow"), definition.build()
    state, update = transformation.init(params), kfun.jit(transformation.update)
    for gradient in gradients[:6]:
        updates, state = update(kfun.convert(gradient, "tensorflow"), state, params)
        params = optim.apply_updates(params, updates)
    assert_same([flat(params)], expected[-1:])
