"""A Bayesian network: how sure it is of the course of diabetes, by the No-U-Turn sampler.

    python examples/bayesian_nn.py

blackjax samples the params of a kfun net, four chains at once. The draws are the params of an
`Ensemble`, whose members tell the predictive distribution: its error on patients that were held out,
and how many of them its 90 % intervals hold, beside the same net trained to one point.
"""

import time

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_diabetes

import kfun
from kfun import layers

CHAINS, WARMUP, DRAWS, TRAIN = 4, 200, 100, 300


def load() -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, float]:
    """Standardized measurements and targets `[B, 1]`, train and test, and the target's unit."""
    x, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order, None]
    unit = float(y[:TRAIN].std())
    x = (x - x[:TRAIN].mean(0)) / x[:TRAIN].std(0)
    y = (y - y[:TRAIN].mean()) / unit
    x, y = jnp.asarray(x, "float32"), jnp.asarray(y, "float32")
    return x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:], unit


def make_density(net, x, y):
    """The logarithm of the posterior: priors N(0, 1/fan-in), a Gaussian likelihood of unknown noise."""

    def log_prior(path, w):
        fan_in = w.shape[0] if path.endswith("kernel") else 1
        return -0.5 * fan_in * jnp.sum(w**2)

    def log_density(position):
        params, log_noise = position["net"], position["log_noise"]
        prior = sum(jax.tree.leaves(kfun.tree.map_with_path(log_prior, params))) - 0.5 * log_noise**2
        gap = (net.apply(params, {}, x)[0] - y) / jnp.exp(log_noise)
        return prior - 0.5 * jnp.sum(gap**2) - log_noise * len(y)

    return log_density


def chain(log_density, key, position):
    """One chain: adapted, then `DRAWS` positions."""
    adapting, key = jax.random.split(key)
    adaptation = blackjax.window_adaptation(blackjax.nuts, log_density, max_num_doublings=5)
    (walker, tuned), _ = adaptation.run(adapting, position, WARMUP)
    kernel = blackjax.nuts(log_density, **tuned)

    def step(walker, key):
        walker, _ = kernel.step(key, walker)
        return walker, walker.position

    return jax.lax.scan(step, walker, jax.random.split(key, DRAWS))[1]


def score(means, noise, y, key) -> tuple[float, float]:
    """Error of the mean of draws `[N, B, 1]`, and the part of the targets within 90 % intervals."""
    draws = means + noise * jax.random.normal(key, means.shape)
    low, high = jnp.quantile(draws, jnp.array([0.05, 0.95]), axis=0)
    return float(jnp.sqrt(jnp.mean((means.mean(0) - y) ** 2))), float(jnp.mean((low < y) & (y < high)))


def main() -> dict[str, float]:
    """Samples and compares; gives the numbers that it prints."""
    x, y, x_test, y_test, unit = load()
    net = kfun.Sequential([layers.Dense(8, "tanh"), layers.Dense(1)])
    key = kfun.random.key(0)
    begin = time.perf_counter()
    log_density = make_density(net, x, y)

    def begin_at(key):
        return {"net": net.init(key, x)[0], "log_noise": jnp.zeros(())}

    keys = jax.random.split(key, CHAINS)
    sample = jax.jit(jax.vmap(lambda key: chain(log_density, key, begin_at(key))))
    draws = jax.block_until_ready(sample(keys))
    print(f"{CHAINS} chains of {WARMUP} + {DRAWS} draws in {time.perf_counter() - begin:.1f} s")

    # Hidden units may change places between chains; what they predict may not differ.
    flat = jax.tree.map(lambda a: a.reshape(CHAINS * DRAWS, *a.shape[2:]), draws)
    members = kfun.Ensemble(net, CHAINS * DRAWS)
    means = members.apply(flat["net"], {}, x_test)[0]
    rhat = blackjax.diagnostics.potential_scale_reduction(means.reshape(CHAINS, DRAWS, -1))
    numbers = {"rhat": float(jnp.median(rhat))}
    noise = jnp.exp(flat["log_noise"])[:, None, None]
    numbers["bayes_error"], numbers["bayes_coverage"] = score(means, noise, y_test, key)

    step = kfun.training.make_train_step(net, "mean_squared_error", "adam")
    trained = step.init(key, x)
    for _ in range(3000):
        trained, _ = step(trained, (x, y))
    point = net.apply(trained.params, trained.state, jnp.concatenate([x, x_test]))[0]
    spread = jnp.std(point[:TRAIN] - y)
    point = jnp.broadcast_to(point[TRAIN:], means.shape)
    numbers["point_error"], numbers["point_coverage"] = score(point, spread, y_test, key)
    print(f"chains agree: the median R-hat of the predictions is {numbers['rhat']:.3f}")
    for name in ("bayes", "point"):
        print(
            f"{name}: error {numbers[f'{name}_error'] * unit:.1f} of a deviation of {unit:.1f}; "
            f"90 % intervals hold {numbers[f'{name}_coverage']:.0%} of the held out patients"
        )
    return numbers


if __name__ == "__main__":
    main()
