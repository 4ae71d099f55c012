"""Optimizers as functions of pytrees: under transformations, in optax's combinators, on parts of trees."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

import kfun
from kfun import optim
from kfun.optim._trees import flatten
from tests.optim.trajectories import assert_same, by_kfun, flat, start

DEFINITIONS = [
    optim.Adam(amsgrad=True, clipnorm=1.0, weight_decay=0.1),
    optim.RMSprop(momentum=0.9, centered=True),
    optim.Nadam(optim.schedules.CosineDecay(0.01, 30), gradient_accumulation_steps=3, use_ema=True),
    optim.Muon(),
    optim.Adafactor(),
    optim.LossScaleOptimizer("adam", 2.0, 5),
]
NAMES = [type(d).__name__ for d in DEFINITIONS]


def _device(tree):
    return jax.tree.map(jax.numpy.asarray, tree)


def _eager():
    quick = ("Adam", "LossScaleOptimizer")  # eager JAX compiles each op for each shape
    return [
        pytest.param(d, id=n, marks=() if n in quick else pytest.mark.slow)
        for d, n in zip(DEFINITIONS, NAMES, strict=True)
    ]


@pytest.mark.parametrize("definition", _eager())
def test_compiled_and_eager_agree(definition):
    compiled, state = by_kfun(definition.build(), steps=4)
    eager, plain = by_kfun(definition.build(), steps=4, jit=False)
    assert_same(eager, compiled)
    assert jax.tree.structure(state) == jax.tree.structure(plain)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=NAMES)
def test_state_keeps_its_form_and_runs_in_a_scan(definition):
    params, gradients = start()
    params = _device(params)
    stacked = jax.tree.map(lambda *g: jax.numpy.stack(g), *gradients[:6])
    optimizer = definition.build()

    def step(carry, gradient):
        updates, state = optimizer.update(gradient, carry[1], carry[0])
        return (optax.apply_updates(carry[0], updates), state), None

    (last, _), _ = jax.jit(lambda c, xs: jax.lax.scan(step, c, xs))((params, optimizer.init(params)), stacked)
    expected, _ = by_kfun(optimizer, steps=6)
    # The last of six steps is compared as if it were the first: with fewer roundings allowed.
    assert_same([flat(last)], expected[-1:])


@pytest.mark.parametrize("definition", DEFINITIONS, ids=NAMES)
def test_an_ensemble_is_its_members(definition):
    optimizer, rates = definition.build(), jax.numpy.asarray([1e-3, 1e-2, 1e-1])
    params, gradients = start()
    members = [jax.tree.map(lambda x, k=k: jax.numpy.asarray(x * k), params) for k in (1.0, -2.0, 3.0)]
    together = jax.tree.map(lambda *xs: jax.numpy.stack(xs), *members)

    def run(params, rate):
        state = optimizer.init(params) | {"learning_rate": rate}
        for gradient in gradients[:3]:
            updates, state = optimizer.update(_device(gradient), state, params)
            params = optim.apply_updates(params, updates)
        return params

    ensemble, alone = jax.jit(kfun.vmap(run))(together, rates), jax.jit(run)
    for i, member in enumerate(members):
        expected = alone(member, rates[i])
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, 1e-5, 1e-6), ensemble, expected)


def test_the_learning_rate_is_state():
    optimizer = optim.sgd(0.1)
    traces = []

    @jax.jit
    def step(state, params):
        traces.append(None)
        return optimizer.update({"w": jax.numpy.ones(2)}, state, params)

    params = {"w": jax.numpy.zeros(2)}
    state = optimizer.init(params)
    np.testing.assert_allclose(step(state, params)[0]["w"], [-0.1, -0.1])
    updates, state = step(state | {"learning_rate": jax.numpy.float32(0.5)}, params)
    np.testing.assert_allclose(updates["w"], [-0.5, -0.5])
    assert state["learning_rate"] == 0.5
    assert len(traces) == 1


def test_frozen_and_missing_leaves():
    params, gradients = start()
    trainable, frozen = kfun.tree.partition(_device(params), "head|mix")
    optimizer = optim.adam(global_clipnorm=1.0, use_ema=True, gradient_accumulation_steps=2)
    state = optimizer.init(trainable)
    assert set(flatten(state["momentum"])) == {"head/kernel", "head/bias", "mix/kernel", "mix/gain"}
    for gradient in gradients[:2]:
        gradient, _ = kfun.tree.partition(_device(gradient), "head|mix")
        gradient["head"]["bias"] = None  # no gradient reached it
        updates, state = jax.jit(optimizer.update)(gradient, state, trainable)
    assert updates["embedding"] == {"embeddings": None}
    assert not np.any(updates["head"]["bias"])
    assert np.all(updates["mix"]["kernel"] != 0)
    moved = optax.apply_updates(trainable, updates)
    combined = kfun.tree.combine(moved, frozen)
    np.testing.assert_array_equal(combined["embedding"]["embeddings"], params["embedding"]["embeddings"])


def test_containers_of_every_kind():
    import equinox as eqx

    class Pair(eqx.Module):
        w: jax.Array
        name: str = eqx.field(static=True, default="pair")

    tree = {"a": [jax.numpy.ones(2), (jax.numpy.ones(3), None)], "b": Pair(jax.numpy.ones((2, 2)))}
    optimizer = optim.adam(0.1)
    updates, state = jax.jit(optimizer.update)(tree, optimizer.init(tree), tree)
    assert jax.tree.structure(updates) == jax.tree.structure(tree) == jax.tree.structure(state["velocity"])
    for leaf in jax.tree.leaves(updates):
        np.testing.assert_allclose(leaf, -0.1, 1e-4)


def test_in_the_combinators_of_optax():
    params, gradients = start()
    params, gradient = _device(params), _device(gradients[0])
    plain = optim.adam(0.01)
    expected, _ = plain.update(gradient, plain.init(params), params)
    chained = optax.chain(optax.scale(2.0), plain, optax.scale(0.5))  # Adam does not see the gradient's scale
    received, _ = jax.jit(chained.update)(gradient, chained.init(params), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 0.5 * b, 1e-3), received, expected)
    mask = {"embedding": False, "head": True, "mix": {"kernel": True, "gain": False}}
    masked = optax.masked(plain, mask)
    received, _ = jax.jit(masked.update)(gradient, masked.init(params), params)
    np.testing.assert_array_equal(received["head"]["kernel"], expected["head"]["kernel"])
    np.testing.assert_array_equal(received["embedding"]["embeddings"], gradient["embedding"]["embeddings"])
    several = optax.multi_transform({"a": plain, "b": optim.sgd(1.0)}, {"embedding": "b", "head": "a", "mix": "a"})
    received, _ = jax.jit(several.update)(gradient, several.init(params), params)
    np.testing.assert_array_equal(received["mix"]["gain"], expected["mix"]["gain"])
    np.testing.assert_array_equal(received["embedding"]["embeddings"], -gradient["embedding"]["embeddings"])


def test_schedules_of_optax():
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.1, 3, 10)
    optimizer = optim.sgd(schedule)
    params = {"w": jax.numpy.zeros(2)}
    state = optimizer.init(params)
    for t in range(5):
        updates, state = optimizer.update({"w": jax.numpy.ones(2)}, state, params)
        np.testing.assert_allclose(updates["w"], -schedule(t), 1e-6)
        np.testing.assert_allclose(state["learning_rate"], schedule(t), 1e-6)
    constant = optim.sgd(optax.constant_schedule(0.25))
    updates, _ = constant.update({"w": jax.numpy.ones(2)}, constant.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.25)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_precisions(dtype):
    """Half precision follows float32 to its own rounding (moves are not lost in the averages); float64 stays so."""
    with jax.enable_x64(dtype == "float64"):
        params = {"w": jax.numpy.linspace(-1, 1, 8, dtype=dtype), "v": jax.numpy.ones((2, 3), dtype)}
        gradient = jax.tree.map(lambda x: (x * x + 0.1).astype(dtype), params)
        optimizer = optim.adamw(0.01, global_clipnorm=10.0, use_ema=True)
        updates, state = jax.jit(optimizer.update)(gradient, optimizer.init(params), params)
        assert {str(x.dtype) for x in jax.tree.leaves(updates)} == {dtype}
        assert {str(x.dtype) for x in jax.tree.leaves(state["velocity"])} == {dtype}
        reference = optim.adamw(0.01, global_clipnorm=10.0)
        wide = {k: np.asarray(v, "float32") for k, v in params.items()}
        exact, _ = reference.update(_device({k: np.asarray(g, "float32") for k, g in gradient.items()}),
                                    reference.init(_device(wide)), _device(wide))  # fmt: skip
        for name, update in updates.items():
            np.testing.assert_allclose(np.asarray(update, "float32"), exact[name], 2e-2 if dtype != "float64" else 1e-5)


def test_the_loss_is_scaled_as_gradients_are_unscaled():
    params = {"w": jax.numpy.asarray([1.0, 2.0])}

    def updates_of(definition):
        optimizer = definition.build()
        state = optimizer.init(params)
        gradient = jax.grad(lambda p: definition.scale_loss((p["w"] ** 2).sum(), state))(params)
        return optimizer.update(gradient, state, params)[0]["w"]

    expected = updates_of(optim.SGD(0.1))
    for definition in (optim.SGD(0.1, loss_scale_factor=64.0), optim.LossScaleOptimizer(optim.SGD(0.1), 2.0**10)):
        np.testing.assert_array_equal(updates_of(definition), expected)


def test_gradients_flow_through_a_step():
    """The derivative of the loss after a step by the learning rate, against differences."""
    optimizer = optim.sgd(0.1, momentum=0.9)
    x = {"w": jax.numpy.asarray([1.0, 2.0])}

    def after(rate):
        state = optimizer.init(x) | {"learning_rate": rate}
        params = x
        for _ in range(2):
            gradient = jax.grad(lambda p: (p["w"] ** 4).sum())(params)
            updates, state = optimizer.update(gradient, state, params)
            params = optim.apply_updates(params, updates)
        return (params["w"] ** 2).sum()

    rate = jax.numpy.float32(0.01)
    slope = (after(rate + 1e-3) - after(rate - 1e-3)) / 2e-3
    np.testing.assert_allclose(kfun.grad(after)(rate), slope, 1e-2)


def test_no_tracer_outlives_its_trace(leaked_tracers):
    optimizer = optim.adam(gradient_accumulation_steps=2, use_ema=True)
    params = {"w": jax.numpy.ones(2)}
    updates, _ = jax.jit(optimizer.update)(params, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["w"], 0)


def test_state_can_be_donated():
    optimizer = optim.get("schedulefreeadamw").build()
    params = _device(start()[0])
    state = optimizer.init(params)
    update = jax.jit(optimizer.update, donate_argnums=(1, 2))
    updates, state = update(_device(start()[1][0]), state, params)
    assert np.all(np.isfinite(updates["head"]["kernel"]))


def test_mistakes_are_named():
    params = {"w": np.ones(2, "float32")}
    optimizer = optim.adam()
    state = optimizer.init(params)
    with pytest.raises(ValueError, match=r"update\(gradients, state, params\)"):
        optimizer.update(params, state)
    with pytest.raises(ValueError, match="'v', where the params have nothing: w"):
        optimizer.update({"v": np.ones(2, "float32")}, state, params)
    with pytest.raises(ValueError, match=r"'w' has shape \(3,\); expected the param's, \(2,\)"):
        optimizer.update({"w": np.ones(3, "float32")}, state, params)
    with pytest.raises(TypeError, match="'n' is int32"):
        optimizer.init({"n": np.ones(2, "int32")})
