"""MultiOptimizer: each part moves as its optimizer alone would, on every backend, inside a loss scale too."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kfun
from kfun import optim

PARAMS = {"encoder": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}, "decoder": {"kernel": jnp.ones((3, 2))}}
GRADIENTS = jax.tree.map(lambda x: x + 0.5, PARAMS)
PARTS = optim.OptimizerMap(
    optim.SGD(0.1, momentum=0.9), {"encoder/.*": optim.Adam(0.01, global_clipnorm=0.5), "nothing": "rmsprop"}
)


def _steps(transformation, params, gradients, n=3):
    state = transformation.init(params)
    for _ in range(n):
        updates, state = transformation.update(gradients, state, params)
        params = optim.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize("name", ["jax", "torch", "tensorflow", "numpy"])
def test_parts_move_as_their_optimizers_alone(name):
    if name != "numpy":
        pytest.importorskip(name)
    with kfun.backend(name):
        params, gradients = kfun.convert(PARAMS, name), kfun.convert(GRADIENTS, name)
        moved, state = _steps(optim.multi_optimizer(PARTS), params, gradients)
        encoder, _ = _steps(optim.adam(0.01, global_clipnorm=0.5), params["encoder"], gradients["encoder"])
        decoder, _ = _steps(optim.sgd(0.1, 0.9), params["decoder"], gradients["decoder"])
        expected, moved = kfun.to_numpy(({"encoder": encoder, "decoder": decoder}, moved))
        assert [int(part["count"]) for part in state["optimizers"].values()] == [3, 0, 3]
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_definition():
    definition = optim.MultiOptimizer(PARTS, 8.0, name="both")
    assert kfun.from_config(json.loads(json.dumps(definition.to_config()))) == definition
    assert list(definition.parts(PARAMS)) == ["adam", "rm_sprop", "sgd"]
    scaled, _ = _steps(definition.build(), PARAMS, jax.tree.map(lambda g: 8 * g, GRADIENTS))
    plain, _ = _steps(optim.multi_optimizer(PARTS), PARAMS, GRADIENTS)
    for a, b in zip(jax.tree.leaves(scaled), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert float(definition.scale_loss(2.0, None)) == 16.0
    with pytest.raises(AttributeError, match="has no learning rate of its own"):
        _ = definition.learning_rate
    by_function = optim.MultiOptimizer(lambda path: optim.SGD(0.1) if "bias" in path else "adam")
    assert [paths for _, paths in by_function.parts(PARAMS).values()] == [
        ["encoder/kernel", "decoder/kernel"],
        ["encoder/bias"],
    ]


def test_state_and_step_compile():
    """The structure does not change, so a step may be the body of a scan."""
    built = optim.multi_optimizer(PARTS)

    def step(carry, _):
        params, state = carry
        updates, state = built.update(GRADIENTS, state, params)
        return (optim.apply_updates(params, updates), state), None

    (moved, _), _ = jax.lax.scan(step, (PARAMS, built.init(PARAMS)), None, 3)
    expected, _ = _steps(built, PARAMS, GRADIENTS)
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize(
    "inner", [optim.MultiOptimizer(PARTS), optax.adam(0.01), optim.MultiOptimizer(optim.OptimizerMap(optax.sgd(0.1)))]
)
def test_inside_a_loss_scale(inner):
    definition = optim.LossScaleOptimizer(inner, 16.0)
    built = definition.build()
    state = built.init(PARAMS)
    scaled = jax.tree.map(lambda g: 16 * g, GRADIENTS)
    updates, state = jax.jit(built.update)(scaled, state, PARAMS)
    plain = optim.build(inner)
    expected, _ = plain.update(GRADIENTS, plain.init(PARAMS), PARAMS)
    for a, b in zip(jax.tree.leaves(updates), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    updates, state = jax.jit(built.update)(jax.tree.map(lambda g: g / 0, GRADIENTS), state, PARAMS)
    assert not any(np.any(u) for u in jax.tree.leaves(updates))
    assert float(state["dynamic_scale"]) == 8.0
    paths = set(kfun.tree.flatten(state))
    named = [v.state_path for v in definition.variables(PARAMS) if v.state_path]
    assert set(named) == paths
