"""The packages of JAX research drive kfun's functions, held to answers that no network gave."""

from __future__ import annotations

import functools

import blackjax
import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import optimistix
import pytest
import scipy.linalg
import scipy.optimize
from flax import nnx
from jax.flatten_util import ravel_pytree
from numpyro.infer import MCMC, NUTS
from sklearn.datasets import load_diabetes

import kfun
from kfun import Spec, layers, ops

KEY = kfun.random.key(3)
NOISE = 0.7


@functools.cache
def _diabetes(features: int = 3) -> tuple[jax.Array, jax.Array]:
    """Standardized measurements that matter and the target `[B, 1]`."""
    x, y = load_diabetes(return_X_y=True)
    x, y = x[:, [2, 8, 3, 4, 5, 6][:features]], y[:, None]
    return tuple(jnp.asarray((a - a.mean(0)) / a.std(0), "float32") for a in (x, y))


def _posterior() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the weights of a linear regression with prior N(0, 1), the bias last."""
    x, y = (np.asarray(a, "float64") for a in _diabetes())
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    covariance = np.linalg.inv(np.eye(x.shape[1]) + x.T @ x / NOISE**2)
    return (covariance @ x.T @ y / NOISE**2)[:, 0], covariance


def _check_draws(kernel, bias) -> None:
    """Draws `[N, ...]` have the posterior's mean and covariance, within five Monte Carlo errors."""
    draws = np.concatenate([np.asarray(kernel).reshape(len(kernel), -1), np.asarray(bias)], 1).astype("float64")
    mean, covariance = _posterior()
    effective = np.asarray(blackjax.diagnostics.effective_sample_size(draws[None]))
    assert np.all(effective > 100)
    error = np.sqrt(np.diag(covariance) / effective)
    np.testing.assert_array_less(np.abs(draws.mean(0) - mean), 5 * error)
    # The standard error of a variance is sqrt(2 / n) of it, and of a covariance no more than that.
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    wrong = np.abs(np.cov(draws.T) - covariance) / scale
    np.testing.assert_array_less(wrong, 5 * np.sqrt(2 / effective.min()))


def test_blackjax_draws_from_the_posterior_of_a_linear_regression():
    (x, y), net = _diabetes(), layers.Dense(1)
    params, state = net.init(KEY, x)

    def log_density(params):
        prior = sum(jnp.sum(w**2) for w in jax.tree.leaves(params))
        return -0.5 * (prior + jnp.sum((net.apply(params, state, x)[0] - y) ** 2) / NOISE**2)

    @jax.jit
    def sample(params):
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density)
        (walker, tuned), _ = adaptation.run(KEY, params, 200)
        kernel = blackjax.nuts(log_density, **tuned)

        def step(walker, key):
            walker, _ = kernel.step(key, walker)
            return walker, walker.position

        return jax.lax.scan(step, walker, jax.random.split(jax.random.fold_in(KEY, 1), 1000))[1]

    draws = sample(params)
    assert jax.tree.structure(draws) == jax.tree.structure(params)
    _check_draws(draws["kernel"], draws["bias"])


def _lift(net, *inputs):
    """Params whose every weight is a site with the prior N(0, 1)."""

    def site(path, weight):
        return numpyro.sample(path, dist.Normal(0, 1).expand(weight.shape).to_event())

    params, _ = jax.eval_shape(net.init, KEY, *inputs)
    return kfun.tree.map_with_path(site, params)


def _regression(net, x, y=None):
    numpyro.sample("y", dist.Normal(net.apply(_lift(net, x), {}, x)[0], NOISE).to_event(1), obs=y)


def test_numpyro_draws_from_the_posterior_of_a_linear_regression():
    net = kfun.Sequential([layers.Dense(1)])
    mcmc = MCMC(NUTS(_regression), num_warmup=200, num_samples=1000, progress_bar=False)
    mcmc.run(KEY, net, *_diabetes())
    draws = mcmc.get_samples()
    assert draws.keys() == {"dense/kernel", "dense/bias"}
    _check_draws(draws["dense/kernel"], draws["dense/bias"])


class Alone(layers.Dense):
    """A layer that draws its own weights."""

    def init(self, key, *inputs):
        return super().init(key, *inputs)


def test_numpyro_lifts_params_and_no_state():
    net = kfun.Sequential([Alone(3), layers.BatchNormalization(), kfun.Stack(layers.Dense(3), 2)])
    x, _ = _diabetes()
    params, state = net.init(KEY, x)
    lifted = numpyro.handlers.trace(numpyro.handlers.seed(lambda: _lift(net, x), KEY)).get_trace()
    assert lifted.keys() == kfun.tree.flatten(params).keys()

    def model(x):
        numpyro.deterministic("mean", net.apply(_lift(net, x), state, x)[0])

    predicted = jax.jit(numpyro.infer.Predictive(model, num_samples=5))(KEY, x)
    draws = kfun.tree.map_with_path(lambda path, _: predicted[path], params)
    members = kfun.vmap(lambda p: net.apply(p, state, x)[0])(draws)
    np.testing.assert_allclose(predicted["mean"], members, rtol=1e-4, atol=1e-5)


def test_numpyro_sites_have_the_density_of_the_prior():
    x, y = _diabetes()
    net = kfun.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)])
    params, _ = net.init(KEY, x)
    sites = kfun.tree.flatten(params)
    joint, trace = numpyro.infer.util.log_density(_regression, (net, x, y), {}, sites)
    assert set(trace) == {*sites, "y"}
    gap = np.asarray(net.apply(params, {}, x)[0] - y)
    flat = ravel_pytree(params)[0]
    wanted = -0.5 * np.sum(np.square(flat)) - 0.5 * np.sum(gap**2) / NOISE**2
    wanted -= 0.5 * np.log(2 * np.pi) * (len(flat) + len(gap)) + np.log(NOISE) * len(gap)
    np.testing.assert_allclose(joint, wanted, rtol=1e-5)


FIRST = np.array([[1.0, 0.0], [0.5, -1.0]])


def _solution(net, params, adjoint=None, end=1.0):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, params: net.apply(params, {}, y)[0]),
        diffrax.Tsit5(),
        0.0,
        end,
        None,
        jnp.asarray(FIRST),
        args=params,
        stepsize_controller=diffrax.PIDController(rtol=1e-9, atol=1e-9),
        adjoint=adjoint or diffrax.RecursiveCheckpointAdjoint(),
    ).ys[0]


@pytest.mark.usefixtures("x64")
def test_a_linear_field_has_the_solution_of_the_matrix_exponential():
    net, kernel = layers.Dense(2, use_bias=False), np.array([[-0.3, 2.0], [-1.0, 0.1]])
    for end in (0.5, 3.0):
        ours = jax.jit(functools.partial(_solution, net, end=end))({"kernel": jnp.asarray(kernel)})
        assert ours.dtype == "float64"
        np.testing.assert_allclose(ours, FIRST @ scipy.linalg.expm(end * kernel), rtol=1e-7)


def _runge_kutta(net, params, steps=200):
    """The classical method over [0, 1], differentiated through its steps."""

    def field(y):
        return net.apply(params, {}, y)[0]

    def step(y, _):
        size = 1.0 / steps
        k1 = field(y)
        k2 = field(y + size / 2 * k1)
        k3 = field(y + size / 2 * k2)
        k4 = field(y + size * k3)
        return y + size / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return ops.scan(step, jnp.asarray(FIRST), length=steps)[0]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "adjoint", [diffrax.RecursiveCheckpointAdjoint, pytest.param(diffrax.BacksolveAdjoint, marks=pytest.mark.slow)]
)
def test_adjoints_have_the_gradient_of_backpropagation_through_the_steps(adjoint):
    net = kfun.Sequential([layers.Dense(5, "tanh"), layers.Dense(2)])
    params = kfun.tree.cast(net.init(KEY, Spec((None, 2)))[0], "float64")

    def gradient(solve):
        return jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(solve(p)))))(params)

    wanted = gradient(functools.partial(_runge_kutta, net))
    ours = gradient(functools.partial(_solution, net, adjoint=adjoint()))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-8), ours, wanted)


class Field(kfun.Block):
    """A field that depends on time, in the form in which diffrax calls it."""

    inner: layers.Dense
    outer: layers.Dense

    def forward(self, f, t, y, args=None):
        time = ops.broadcast_to(t, (y.shape[0], 1))
        return f.outer(f.inner(ops.concatenate([y, time], -1)))


def test_a_bound_block_is_a_vector_field():
    net = Field(layers.Dense(4, "tanh"), layers.Dense(2))
    first = jnp.asarray(FIRST, "float32")
    params, state = net.init(KEY, jnp.asarray(0.0), first)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(f):
        return diffrax.diffeqsolve(diffrax.ODETerm(f), diffrax.Euler(), 0.0, 1.0, 0.25, first).ys.sum()

    def by_hand(params):
        y = first
        for i in range(4):
            y = y + 0.25 * net.apply(params, state, jnp.asarray(0.25 * i), y)[0]
        return y.sum()

    ours = gradient(kfun.bind(net, params, state)).params
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), ours, jax.grad(by_hand)(params))


def _residual(net, params, data):
    return net.apply(params, {}, data[0])[0] - data[1]


def test_optimistix_finds_the_least_squares_of_numpy():
    (x, y), net = _diabetes(), layers.Dense(1)
    params, _ = net.init(KEY, x)
    wanted = np.linalg.lstsq(np.concatenate([x, np.ones((len(x), 1))], 1), np.asarray(y), rcond=None)[0]
    residual = functools.partial(_residual, net)
    for solver in (optimistix.LevenbergMarquardt(1e-6, 1e-6), optimistix.GaussNewton(1e-6, 1e-6)):
        solve = eqx.filter_jit(optimistix.least_squares)
        found = solve(residual, solver, params, args=(x, y)).value
        np.testing.assert_allclose(np.concatenate([found["kernel"], found["bias"][None]]), wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_optimistix_and_scipy_end_in_minima_of_one_height():
    x, y = (jnp.asarray(a, "float64") for a in _diabetes())
    net = kfun.Sequential([layers.Dense(2, "tanh"), layers.Dense(1)])
    params = kfun.tree.cast(net.init(KEY, x)[0], "float64")
    flat, unravel = ravel_pytree(params)

    def cost(params, _=None):
        fit = jnp.mean(jnp.square(_residual(net, params, (x, y))))
        return fit + 0.01 * sum(jnp.sum(w**2) for w in jax.tree.leaves(params))

    fun = jax.jit(jax.value_and_grad(lambda v: cost(unravel(v))))
    theirs = scipy.optimize.minimize(fun, np.asarray(flat), jac=True, method="BFGS", options={"gtol": 1e-8})
    found = jax.jit(lambda p: optimistix.minimise(cost, optimistix.BFGS(1e-9, 1e-9), p, max_steps=500).value)(params)
    np.testing.assert_allclose(cost(found), theirs.fun, rtol=1e-6)
    assert max(np.abs(g).max() for g in jax.tree.leaves(jax.grad(cost)(found))) < 1e-5


def _normed():
    return kfun.Sequential([layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)])


def _loss(outputs, y):
    return jnp.mean((outputs - y) ** 2)


def test_a_layer_is_a_static_part_of_equinox_modules():
    class Gated(eqx.Module):
        net: kfun.Layer  # a definition, told from arrays by its being none
        params: dict
        gate: jax.Array

        def __call__(self, x):
            return self.gate * self.net.apply(self.params, {}, x)[0]

    (x, y), net = _diabetes(), kfun.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)])
    params, state = net.init(KEY, x)
    wanted = jax.grad(lambda p: _loss(2 * net.apply(p, state, x)[0], y))(params)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda f: _loss(f(x), y)))
    ours = gradient(Gated(net, params, jnp.asarray(2.0)))
    bound = kfun.bind(net, params, state)
    scaled = eqx.filter_jit(eqx.filter_grad(lambda f: _loss(2 * f(x), y)))(bound)
    for found in (ours.params, scaled.params):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), found, wanted)
    np.testing.assert_allclose(ours.gate, jax.grad(lambda g: _loss(g * bound(x), y))(2.0), rtol=1e-4)
    silent = eqx.tree_at(lambda f: f.params["dense_1"], bound, replace_fn=lambda w: jax.tree.map(jnp.zeros_like, w))
    assert not np.any(silent(x))


class Held(nnx.Module):
    """A net with its weights as variables of nnx, its state too."""

    def __init__(self, net, x, rngs):
        params, state = net.init(rngs.params(), x)
        self.net, self.rngs = net, rngs
        self.params = nnx.data(jax.tree.map(nnx.Param, params))
        self.state = nnx.data(jax.tree.map(nnx.BatchStat, state))

    def __call__(self, x):
        params, state = nnx.as_pure(self.params), nnx.as_pure(self.state)
        outputs, new = self.net.apply(params, state, x, key=self.rngs.dropout(), training=True)
        nnx.update(self.state, new)
        return outputs


def test_a_net_inside_an_nnx_module_trains_with_its_state():
    (x, y), net = _diabetes(), _normed()
    held = Held(net, x, nnx.Rngs(params=1, dropout=2))
    params, state = nnx.as_pure(held.params), nnx.as_pure(held.state)
    key = nnx.Rngs(params=1, dropout=2).dropout()

    def objective(params):
        outputs, new = net.apply(params, state, x, key=key, training=True)
        return _loss(outputs, y), new

    wanted, wanted_state = jax.jit(jax.grad(objective, has_aux=True))(params)
    found = nnx.jit(nnx.grad(lambda held: _loss(held(x), y)))(held)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, nnx.to_pure_dict(found)["params"], wanted)
    jax.tree.map(close, nnx.as_pure(held.state), wanted_state)
    optimizer = nnx.Optimizer(held, kfun.optim.sgd(0.1), wrt=nnx.Param)
    optimizer.update(held, found)
    jax.tree.map(lambda new, old, g: close(new, old - 0.1 * g), nnx.as_pure(held.params), params, wanted)


def _trajectory(optimizer, steps=8):
    """Losses and the last params of a small net under an optimizer."""
    (x, y), net = _diabetes(), kfun.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)])
    params, state = net.init(KEY, x)

    def step(carry, _):
        params, opt = carry
        loss, grads = jax.value_and_grad(lambda p: _loss(net.apply(p, state, x)[0], y))(params)
        updates, opt = optimizer.update(grads, opt, params)
        return (optax.apply_updates(params, updates), opt), loss

    (last, _), losses = jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), length=steps))(params)
    return losses, params, last


SCHEDULE = optax.warmup_cosine_decay_schedule(0.0, 0.2, 3, 8)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: kfun.optim.sgd(SCHEDULE), lambda: optax.sgd(SCHEDULE)),
        (
            lambda: optax.chain(optax.clip_by_global_norm(0.3), kfun.optim.sgd(0.1)),
            lambda: kfun.optim.sgd(0.1, global_clipnorm=0.3),
        ),
        (lambda: optax.MultiSteps(kfun.optim.sgd(0.1), 2), lambda: optax.MultiSteps(optax.sgd(0.1), 2)),
        (lambda: optax.apply_if_finite(kfun.optim.adam(0.1), 2), lambda: kfun.optim.adam(0.1)),
        (
            lambda: optax.chain(kfun.optim.adam(1.0), optax.scale_by_schedule(SCHEDULE)),
            lambda: kfun.optim.adam(SCHEDULE),
        ),
    ],
    ids=["schedule", "clipped", "accumulated", "finite", "scaled"],
)
def test_optimizers_agree_with_those_of_optax_in_its_combinators(ours, theirs):
    first, second = _trajectory(ours()), _trajectory(theirs())
    np.testing.assert_allclose(first[0], second[0], rtol=1e-4)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), first[2], second[2])


def test_optax_parts_the_params_by_path():
    def label(params):
        return kfun.tree.map_with_path(lambda path, w: "head" if path.startswith("dense_1/") else "body", params)

    parts = optax.multi_transform({"head": kfun.optim.adam(0.05), "body": optax.set_to_zero()}, label)
    masked = optax.chain(
        kfun.optim.adam(0.05),
        optax.masked(optax.set_to_zero(), lambda p: jax.tree.map(lambda s: s == "body", label(p))),
    )
    for optimizer in (parts, masked):
        losses, first, last = _trajectory(optimizer)
        assert losses[-1] < losses[0]
        jax.tree.map(np.testing.assert_array_equal, first["dense"], last["dense"])
        assert all(
            np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (first["dense_1"], last["dense_1"])), strict=True)
        )


def test_lbfgs_of_optax_finds_the_least_squares():
    (x, y), net = _diabetes(), layers.Dense(1)
    params, _ = net.init(KEY, x)
    solver, value = optax.lbfgs(), lambda p: _loss(net.apply(p, {}, x)[0], y)

    def step(carry, _):
        params, opt = carry
        loss, grads = optax.value_and_grad_from_state(value)(params, state=opt)
        updates, opt = solver.update(grads, opt, params, value=loss, grad=grads, value_fn=value)
        return (optax.apply_updates(params, updates), opt), loss

    (found, _), _ = jax.jit(lambda p: jax.lax.scan(step, (p, solver.init(p)), length=20))(params)
    wanted = np.linalg.lstsq(np.concatenate([x, np.ones((len(x), 1))], 1), np.asarray(y), rcond=None)[0]
    np.testing.assert_allclose(np.concatenate([found["kernel"], found["bias"][None]]), wanted, atol=1e-3)
