"""A network of continuous depth: digits classified by a neural ordinary differential equation.

    python examples/neural_ode.py

A net of kfun is the vector field, diffrax solves it and gives the gradient by its adjoint (Chen et al.
2018, arXiv:1806.07366). Depth is a matter of the solver then: the trained net is solved again with an
adaptive method at several tolerances, and the steps that it takes are counted.
"""

import time

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import kfun
from kfun import layers, losses, ops, optim

STEPS, BATCH, WIDTH = 400, 64, 32


class Field(kfun.Block):
    """The velocity of features `[B, C]` at a time in [0, 1]."""

    inner: layers.Dense
    outer: layers.Dense

    def forward(self, f, t, h):
        times = ops.broadcast_to(ops.cast(t, h.dtype), (h.shape[0], 1))
        return f.outer(f.inner(ops.concatenate([h, times], -1)))


class ContinuousNet(kfun.Block):
    """Features of an image, moved by a field from time 0 to 1, and classified."""

    start: layers.Dense
    field: Field
    head: layers.Dense
    tolerance: float | None = None  # None: fixed steps

    def solve(self, f, x):
        if self.tolerance is None:
            how = {"dt0": 0.25}
        else:
            control = diffrax.PIDController(rtol=self.tolerance, atol=self.tolerance)
            how = {"dt0": None, "stepsize_controller": control}
        term = diffrax.ODETerm(lambda t, h, args: f.field(t, h))
        return diffrax.diffeqsolve(term, diffrax.Bosh3(), 0.0, 1.0, y0=f.start(x), **how)

    def forward(self, f, x):
        return f.head(self.solve(f, x).ys[-1])

    def count_steps(self, f, x):
        return self.solve(f, x).stats["num_steps"]


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images `[B, 64]` in [0, 1] and labels: train and test."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order].astype("int32")
    return x[:1400], y[:1400], x[1400:], y[1400:]


def main() -> dict[str, float]:
    """Trains, and solves at several tolerances; gives the numbers that it prints."""
    x, y, x_test, y_test = load()
    field = Field(layers.Dense(64, "tanh"), layers.Dense(WIDTH))
    net = ContinuousNet(layers.Dense(WIDTH), field, layers.Dense(10))
    loss, adam = losses.SparseCategoricalCrossentropy(from_logits=True), optim.adam(5e-3)
    params, state = net.init(kfun.random.key(0), kfun.Spec((BATCH, 64)))

    def step(carry, rows):
        params, opt = carry
        objective = lambda p: loss(y[rows], net.apply(p, state, x[rows])[0])  # noqa: E731
        value, grads = kfun.value_and_grad(objective)(params)
        updates, opt = adam.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    x, y = jnp.asarray(x), jnp.asarray(y)
    rows = np.random.default_rng(1).integers(0, len(x), (STEPS, BATCH))
    begin = time.perf_counter()
    train = jax.jit(lambda params, rows: jax.lax.scan(step, (params, adam.init(params)), rows))
    (params, _), values = train(params, jnp.asarray(rows))
    print(f"{STEPS} steps through the adjoint in {time.perf_counter() - begin:.1f} s; last loss {values[-1]:.4f}")

    def tested(net):
        run = jax.jit(net.apply, static_argnames="method")
        right = run(params, state, x_test)[0].argmax(-1) == y_test
        return float(right.mean()), int(run(params, state, x_test, method="count_steps")[0])

    numbers = {}
    numbers["accuracy"], numbers["steps"] = tested(net)
    print(f"4 fixed steps: test accuracy {numbers['accuracy']:.2%}")
    for tolerance in (1e-1, 1e-4):
        accuracy, steps = tested(net.replace(tolerance=tolerance))
        numbers |= {f"accuracy_{tolerance:g}": accuracy, f"steps_{tolerance:g}": steps}
        print(f"adaptive, tolerance {tolerance:g}: test accuracy {accuracy:.2%} in {steps} steps")
    return numbers


if __name__ == "__main__":
    main()
