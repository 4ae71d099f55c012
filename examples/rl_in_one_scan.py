"""A policy that balances a pole: the world, the net and its training in one compiled scan.

    python examples/rl_in_one_scan.py

The cart and pole of Barto, Sutton and Anderson (1983) as a JAX function, 32 of them at once; proximal
policy optimization (Schulman et al. 2017, arXiv:1707.06347). A training run is one function of a key,
so that four seeds train in one `vmap`.
"""

import functools
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp

import kfun
from kfun import layers, ops, optim

SEEDS, WORLDS, HORIZON, UPDATES, PASSES, LIMIT = 4, 32, 64, 100, 8, 500
DISCOUNT, TRACE = 0.99, 0.98


class World(NamedTuple):
    """A cart with a pole."""

    body: jax.Array  # place, speed, angle, turn: float32[4]
    age: jax.Array  # steps since it was set up, int32


def reset(key: jax.Array) -> World:
    """A cart near the middle with a pole nearly upright."""
    return World(jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05), jnp.zeros((), "int32"))


def push(world: World, right: jax.Array) -> tuple[World, jax.Array, jax.Array]:
    """`(next world, whether the pole fell, whether the time is up)`, 0.02 s later."""
    _, speed, angle, turn = world.body
    force, sine, cosine = jnp.where(right, 10.0, -10.0), jnp.sin(angle), jnp.cos(angle)
    pull = (force + 0.05 * turn**2 * sine) / 1.1
    twist = (9.8 * sine - cosine * pull) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    rate = jnp.stack([speed, pull - 0.05 * twist * cosine / 1.1, turn, twist])
    new = World(world.body + 0.02 * rate, world.age + 1)
    fell = (jnp.abs(new.body[0]) > 2.4) | (jnp.abs(new.body[2]) > 0.2095)
    return new, fell, new.age >= LIMIT


class ActorCritic(kfun.Block):
    """Logits `[B, 2]` of the pushes, and how long the pole will stay up `[B]`, in hundreds of steps."""

    actor: kfun.Sequential
    critic: kfun.Sequential

    def forward(self, f, bodies):
        return f.actor(bodies), f.critic(bodies)[:, 0]


def make_net() -> ActorCritic:
    """Two small nets side by side."""
    return ActorCritic(
        kfun.Sequential([layers.Dense(32, "tanh"), layers.Dense(2)]),
        kfun.Sequential([layers.Dense(32, "tanh"), layers.Dense(1)]),
    )


def play(net, params, worlds, key):
    """`HORIZON` steps of all worlds, those that end set up anew: `(worlds, steps)`."""

    def step(worlds, key):
        acting, setting = jax.random.split(key)
        (logits, _), _ = net.apply(params, {}, worlds.body)
        right = jax.random.categorical(acting, logits)
        new, fell, late = jax.vmap(push)(worlds, right)
        fresh = jax.vmap(reset)(jax.random.split(setting, WORLDS))
        ended = fell | late
        onward = jax.tree.map(lambda a, b: jnp.where(ended.reshape(-1, *[1] * (a.ndim - 1)), a, b), fresh, new)
        return onward, {"body": worlds.body, "after": new.body, "right": right, "fell": fell, "ended": ended}

    return jax.lax.scan(step, worlds, jax.random.split(key, HORIZON))


def assess(net, params, steps):
    """What was played `[T * B, ...]`, with its advantages, the returns to expect, and the chances that it had.

    A pole that fell earns no more; one whose time is up would have.
    """
    (logits, values), _ = kfun.vmap(net.apply, in_axes=(None, None, 0))(params, {}, steps["body"])
    (_, after), _ = kfun.vmap(net.apply, in_axes=(None, None, 0))(params, {}, steps["after"])
    gains = 0.01 + DISCOUNT * after * (1 - steps["fell"]) - values

    def back(later, item):
        gain, ended = item
        now = gain + DISCOUNT * TRACE * (1 - ended) * later
        return now, now

    _, advantage = jax.lax.scan(back, jnp.zeros(WORLDS), (gains, steps["ended"]), reverse=True)
    scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    played = {"body": steps["body"], "right": steps["right"], "old": chances_of(logits, steps["right"])}
    played |= {"advantage": scaled, "returns": values + advantage}
    return jax.tree.map(lambda a: a.reshape(HORIZON * WORLDS, *a.shape[2:]), played)


def chances_of(logits, actions):
    """The logarithms of the chances of actions."""
    return jnp.take_along_axis(ops.log_softmax(logits), actions[..., None], -1)[..., 0]


def loss(net, params, played):
    """The clipped surrogate, the critic's error and a prize for undecidedness."""
    (logits, values), _ = net.apply(params, {}, played["body"])
    ratio = jnp.exp(chances_of(logits, played["right"]) - played["old"])
    gain = jnp.minimum(ratio * played["advantage"], ratio.clip(0.8, 1.2) * played["advantage"])
    entropy = -jnp.sum(ops.softmax(logits) * ops.log_softmax(logits), -1)
    return jnp.mean(-gain - 0.01 * entropy + 0.5 * (values - played["returns"]) ** 2)


def train(net, key):
    """One run: `(params, mean length of life in each update)`."""
    drawing, setting, playing = jax.random.split(key, 3)
    params, _ = net.init(drawing, kfun.Spec((None, 4)))
    adam = optim.adam(optim.schedules.PolynomialDecay(5e-3, UPDATES * PASSES, 5e-4), global_clipnorm=0.5)

    def learn(carry, _, played):
        params, opt = carry
        updates, opt = adam.update(kfun.grad(lambda p: loss(net, p, played))(params), opt, params)
        return (optim.apply_updates(params, updates), opt), None

    def update(carry, key):
        params, opt, worlds = carry
        worlds, steps = play(net, params, worlds, key)
        played = assess(net, params, steps)
        (params, opt), _ = jax.lax.scan(functools.partial(learn, played=played), (params, opt), length=PASSES)
        life = HORIZON * WORLDS / jnp.maximum(steps["ended"].sum(), 1)
        return (params, opt, worlds), life

    worlds = jax.vmap(reset)(jax.random.split(setting, WORLDS))
    carry, lives = jax.lax.scan(update, (params, adam.init(params), worlds), jax.random.split(playing, UPDATES))
    return carry[0], lives


def judge(net, params, key):
    """How long the pole stays up when the likelier push is made, mean of all worlds."""

    def step(carry, _):
        worlds, up = carry
        (logits, _), _ = net.apply(params, {}, worlds.body)
        right = logits.argmax(-1)
        worlds, fell, _ = jax.vmap(push)(worlds, right)
        up = up & ~fell
        return (worlds, up), up

    worlds = jax.vmap(reset)(jax.random.split(key, WORLDS))
    return jax.lax.scan(step, (worlds, jnp.ones(WORLDS, "bool")), length=LIMIT)[1].sum(0).mean()


def main() -> dict[str, float]:
    """Trains four seeds; gives the numbers that it prints."""
    net, begin = make_net(), time.perf_counter()
    keys = kfun.random.split(kfun.random.key(0), SEEDS)
    params, lives = jax.block_until_ready(jax.jit(jax.vmap(lambda key: train(net, key)))(keys))
    steps = SEEDS * UPDATES * HORIZON * WORLDS
    print(
        f"{SEEDS} seeds, {steps:,} steps of the world and {UPDATES} updates each: {time.perf_counter() - begin:.1f} s"
    )
    judged = jax.jit(jax.vmap(lambda p: judge(net, p, kfun.random.key(1))))(params)
    numbers = {"first": float(lives[:, :5].mean()), "best": float(judged.max()), "median": float(jnp.median(judged))}
    print(f"the pole stays up {numbers['first']:.0f} steps at first; at last, of {LIMIT} possible, by seed:")
    print(", ".join(f"{life:.0f}" for life in judged.tolist()))
    return numbers


if __name__ == "__main__":
    main()
