"""Our optimizers inside optax's combinators: five steps go where optax's own optimizer goes in the same combinator."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from kfun import optim

RANDOM = np.random.default_rng(3)
MASK = {"layer": {"kernel": True, "bias": False}, "gain": True}


def _draw():
    shapes = {"layer": {"kernel": (3, 2), "bias": (2,)}, "gain": (4,)}
    return jax.tree.map(
        lambda s: jnp.asarray(RANDOM.normal(size=s), "float32"), shapes, is_leaf=lambda s: type(s) is tuple
    )


PARAMS, GRADIENTS = _draw(), [_draw() for _ in range(5)]
TINY = 1e-12  # outside of the bias correction with us, inside with optax: no matter when it is tiny
ADAM = optim.adam(0.1, epsilon=TINY), optax.adam(0.1, eps=TINY)
SGD = optim.sgd(0.1, 0.9), optax.sgd(0.1, 0.9)


def run(optimizer, params=PARAMS, gradients=GRADIENTS, **extra):
    """The params after each step."""
    update = jax.jit(optax.with_extra_args_support(optimizer).update)
    state, trajectory = optimizer.init(params), []
    for gradient in gradients:
        updates, state = update(gradient, state, params, **extra)
        params = optax.apply_updates(params, updates)
        trajectory.append(params)
    return trajectory


def assert_same(received, expected, rtol=1e-5, atol=1e-6):
    assert jax.tree.structure(received) == jax.tree.structure(expected)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=rtol, atol=atol), received, expected)


COMBINATORS = {
    "chain": lambda o: optax.chain(optax.clip_by_global_norm(0.5), o, optax.scale(0.5)),
    "named_chain": lambda o: optax.named_chain(("limit", optax.clip(0.3)), ("rule", o)),
    "masked": lambda o: optax.masked(o, MASK),
    "masked by a function": lambda o: optax.masked(o, lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)),
    "partition": lambda o: optax.partition({"a": o, "b": optax.set_to_zero()}, {"layer": "a", "gain": "b"}),
    "multi_transform": lambda o: optax.multi_transform(
        {"a": o, "b": optax.sgd(0.1)}, lambda tree: jax.tree.map(lambda x: "a" if x.ndim > 1 else "b", tree)
    ),
    "selective_transform": lambda o: optax.selective_transform(o, freeze_mask=MASK),
    "apply_if_finite": lambda o: optax.apply_if_finite(o, 2),
    "MultiSteps": lambda o: optax.MultiSteps(o, 2).gradient_transformation(),
    "MultiSteps that skips": lambda o: optax.MultiSteps(
        o, 1, should_skip_update_fn=optax.skip_not_finite
    ).gradient_transformation(),
    "flatten": optax.flatten,
    "conditionally_transform": lambda o: optax.conditionally_transform(o, lambda step: step % 2 == 0),
    "conditionally_mask": lambda o: optax.conditionally_mask(o, lambda step: step % 2 == 0),
    "apply_every": lambda o: optax.chain(o, optax.apply_every(2)),
    "with_extra_args_support": optax.with_extra_args_support,
    "reduce_on_plateau": lambda o: optax.chain(o, optax.contrib.reduce_on_plateau(patience=1)),
    "schedule_free": lambda o: optax.contrib.schedule_free(o, 0.1),
    "inject_hyperparams around": lambda o: optax.inject_hyperparams(
        lambda scale: optax.chain(o, optax.scale(scale))
    )(lambda count: 0.5 / (count + 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", COMBINATORS)
def test_goes_the_way_of_optax(name):
    ours, theirs = SGD if name in ("schedule_free", "flatten", "MultiSteps") else ADAM
    combine = COMBINATORS[name]
    assert_same(run(combine(ours), value=1.0), run(combine(theirs), value=1.0))


@pytest.mark.parametrize("pair", [ADAM, SGD], ids=["adam", "sgd"])
def test_lookahead(pair):
    synced = optax.LookaheadParams.init_synced(PARAMS)
    ours, theirs = (run(optax.lookahead(o, 2, 0.5), synced) for o in pair)
    assert_same(ours, theirs)


def test_a_step_that_is_not_finite_is_skipped():
    gradients = [GRADIENTS[0], jax.tree.map(lambda g: g * np.nan, GRADIENTS[1]), *GRADIENTS[2:]]
    ours, theirs = (run(optax.apply_if_finite(o, 3), gradients=gradients) for o in ADAM)
    assert_same(ours, theirs)
    assert_same(ours[1], ours[0])


def test_what_of_the_state_is_of_the_form_of_params():
    ours, _ = ADAM
    state = optax.tree_map_params(ours, lambda x: x.shape, ours.init(PARAMS), transform_non_params=lambda x: "a scalar")
    assert state["momentum"] == state["velocity"] == jax.tree.map(lambda x: x.shape, PARAMS)
    assert state["count"] == state["learning_rate"] == "a scalar"


CONSTRUCTORS = {
    f.__name__: f for f in vars(optim).values() if getattr(f, "__signature__", None) and f.__qualname__ == f.__name__
}
NEEDED = {
    "lossscaleoptimizer": {"inner_optimizer": "adam"},
    "multioptimizer": {"optimizer_map": optim.OptimizerMap("adam", {"gain": "sgd"})},
}  # fmt: skip
STATIC = {"multioptimizer": ("optimizer_map",)}  # optax takes all that can be called for schedules


def test_every_constructor_is_swept():
    definitions = [c for c in vars(optim).values() if isinstance(c, type) and issubclass(c, optim.Optimizer)]
    assert sorted(CONSTRUCTORS) == sorted(c.__name__.lower() for c in definitions if c is not optim.Optimizer)


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_every_constructor_takes_injected_hyperparameters(name):
    make, needed = CONSTRUCTORS[name], NEEDED.get(name, {})
    injected = optax.inject_hyperparams(make, static_args=STATIC.get(name, ()))(**needed)
    assert_same(run(injected), run(make(**needed)))
    if name != "multioptimizer":
        known = set(injected.init(PARAMS).hyperparams)
        assert "initial_scale" in known if needed else {"learning_rate", "ema_momentum"} <= known


EVERYTHING = {
    "weight_decay": 0.1, "global_clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 2,
    "loss_scale_factor": 4.0, "gradient_accumulation_steps": 2,
}  # fmt: skip
SETTINGS = [
    ("sgd", EVERYTHING), ("sgd", {"momentum": 0.9, "nesterov": True, "clipvalue": 0.3}), ("sgd", {"clipnorm": 0.5}),
    ("sgd", {"clipnorm": 0.0}), ("rmsprop", {"momentum": 0.5, "centered": True, "learning_rate": 0.01}),
    ("ftrl", {"l1_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.1, "beta": 0.5}),
    ("schedulefreeadamw", {"warmup_steps": 3, "epsilon": 1e-3}), ("muon", {"ns_steps": 3, "rms_rate": 0.3}),
    ("lossscaleoptimizer", {"inner_optimizer": "sgd", "initial_scale": 4.0, "dynamic_growth_steps": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), SETTINGS, ids=lambda v: v if isinstance(v, str) else "-".join(v)[:40])
def test_any_number_may_be_an_array(name, arguments):
    make = CONSTRUCTORS[name]
    assert_same(run(optax.inject_hyperparams(make)(**arguments)), run(make(**arguments)))


@pytest.mark.parametrize("injected", [
    {"learning_rate": optax.linear_schedule(0.1, 0.0, 5)},
    {"learning_rate": optim.schedules.CosineDecay(0.1, 5)},
    {"learning_rate": 0.1, "beta_1": optax.linear_schedule(0.5, 0.9, 5)},
], ids=["rate", "our schedule", "beta"])  # fmt: skip
def test_schedules_are_followed_as_by_optax(injected):
    theirs = {{"beta_1": "b1"}.get(k, k): v for k, v in injected.items()}
    ours = optax.inject_hyperparams(optim.adam)(**injected, epsilon=TINY)
    assert_same(run(ours), run(optax.inject_hyperparams(optax.adam)(**theirs, eps=TINY)), 1e-4, 1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_hyperparameters_are_changed_in_the_state(compiled):
    optimizers = optax.inject_hyperparams(optim.sgd)(0.1, momentum=0.9), optax.inject_hyperparams(optax.sgd)(0.1, 0.9)
    moves = []
    for optimizer in optimizers:
        update = jax.jit(optimizer.update) if compiled else optimizer.update
        _, state = update(GRADIENTS[0], optimizer.init(PARAMS), PARAMS)
        state.hyperparams["learning_rate"] = jnp.float32(0.0)
        moves.append(update(GRADIENTS[1], state, PARAMS)[0])
        state.hyperparams["learning_rate"] = jnp.float32(0.5)
        moves.append(update(GRADIENTS[1], state, PARAMS)[0])
    # Keras's momentum holds what was moved, optax's what the gradients were: the rates differ by what came before.
    ours = jax.tree.map(lambda now, none: now - none, moves[1], moves[0])
    assert_same(ours, jax.tree.map(lambda g: -0.5 * g, GRADIENTS[1]), 1e-4, 1e-5)
    assert not any(np.any(x) for x in jax.tree.leaves(moves[2]))


def test_the_rate_of_an_array_is_in_one_place():
    optimizer = optim.sgd(jnp.float32(0.1))
    state = optimizer.init(PARAMS)
    assert set(state) == {"count"}
    with pytest.raises(ValueError, match="given as an array, so that the state has none"):
        optimizer.update(GRADIENTS[0], state | {"learning_rate": jnp.float32(0.5)}, PARAMS)


def test_gradients_and_ensembles_over_hyperparameters():
    def after(rate, decay):
        return jax.tree.leaves(run(optim.adamw(rate, decay), gradients=GRADIENTS[:2])[-1])[0].sum()

    slopes = jax.grad(after, (0, 1))(jnp.float32(0.1), jnp.float32(0.2))
    for i, slope in enumerate(slopes):
        at = [[0.1 + (i == 0) * h, 0.2 + (i == 1) * h] for h in (1e-2, -1e-2)]
        difference = (after(*map(np.float32, at[0])) - after(*map(np.float32, at[1]))) / 2e-2
        np.testing.assert_allclose(slope, difference, 1e-2)
    rates = jnp.asarray([0.1, 0.2])
    np.testing.assert_allclose(jax.vmap(lambda r: after(r, 0.2))(rates), [after(float(r), 0.2) for r in rates], 1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.adam(beta_1=jnp.ones(2)), r"`beta_1` must be a number or a scalar array.*\(2,\)"),
        (lambda: optim.sgd(momentum=jnp.float32(2)), r"expected momentum in \[0, 1\]; received 2.0"),
        (lambda: optim.adam(clipnorm=jnp.float32(1), clipvalue=jnp.float32(1)), "at most one of clipnorm"),
        (
            lambda: run(optax.inject_hyperparams(optim.multi_optimizer)(optim.OptimizerMap("adam"))),
            "It is no schedule: in optax.inject_hyperparams name it, static_args",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
