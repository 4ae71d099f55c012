"""Research programs against hand-written JAX, Equinox and Flax NNX: dispatch, init, eager calls, compiling.

All contestants have the same sizes and weights, give the same outputs and losses (which is checked first), and
run in turn.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

import kfun
from bench import _nets as nets
from bench._timing import interleaved, report
from kfun import layers

HAND = "by hand"
_DEPTH = {"mlp": 8, "transformer": 4, "residual": 40}
_SHAPES = {"mlp": (32, nets.WIDTH), "transformer": (2, 32, nets.WIDTH), "residual": (32, nets.WIDTH)}


def _data(name: str) -> tuple[Any, Any]:
    """An input, and what the network should give for it."""
    draw = np.random.default_rng(0)
    x, target = (jax.device_put(draw.normal(size=_SHAPES[name]).astype("float32")) for _ in range(2))
    return x, target


def _contestants(name: str, x: Any) -> dict[str, nets.Net]:
    """The network in all libraries."""
    depth = _DEPTH[name]
    ours, by_hand, of_params, equinox, nnx = {
        "mlp": (nets.kfun_mlp, nets.hand_mlp, nets.hand_dense_params, nets.EqxMLP, nets.NnxMLP),
        "transformer": (
            nets.kfun_transformer,
            nets.hand_transformer,
            nets.hand_transformer_params,
            nets.EqxTransformer,
            nets.NnxTransformer,
        ),
    }[name]
    kfun_net = nets.in_kfun(functools.partial(ours, depth), x)
    params = of_params(kfun_net.weights[0])
    return {
        "kfun": kfun_net,
        HAND: nets.by_hand(by_hand, params),
        "equinox": nets.in_equinox(functools.partial(equinox, depth), params),
        "nnx": nets.in_nnx(functools.partial(nnx, depth), params),
    }


def check_equal(contestants: dict[str, nets.Net], x: Any, target: Any) -> None:
    """Raises AssertionError unless all give the same outputs and, after a step, the same loss."""
    expected = None
    for name, net in contestants.items():
        y = net.forward(net.weights, x)
        weights, first = net.step(net.weights, x, target)
        _, second = net.step(weights, x, target)
        found = y, first, second
        expected = expected or found
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)
        assert second < first, name


def dispatch_times(contestants: dict[str, nets.Net], x: Any, target: Any) -> dict[str, list[float]]:
    """Seconds until the call of a compiled training step returns, which does not wait for the numbers."""
    runs = {name: functools.partial(net.step, net.weights, x, target) for name, net in contestants.items()}
    return interleaved(runs, rounds=31, repeats=100, wait=_ready)


def _ready(result: tuple) -> None:
    result[1].block_until_ready()  # the loss is made together with the weights


def eager_times(contestants: dict[str, nets.Net], x: Any) -> dict[str, list[float]]:
    """Seconds of a forward pass that is not compiled."""
    runs = {name: lambda net=net: net.forward(net.weights, x).block_until_ready() for name, net in contestants.items()}
    return interleaved(runs, rounds=15, repeats=3)


def init_times(contestants: dict[str, nets.Net]) -> dict[str, list[float]]:
    """Seconds to define a network and draw its weights."""
    runs = {name: lambda make=net.make: jax.block_until_ready(make()) for name, net in contestants.items() if net.make}
    return interleaved(runs, rounds=15)


def compile_times() -> dict[str, list[float]]:
    """Seconds to trace, lower and compile a training step of many residual layers, each time from a new function."""
    x, target = _data("residual")
    depth, one = _DEPTH["residual"], nets.kfun_residual()
    unrolled, stacked = kfun.Sequential([one] * depth), kfun.Stack(one, depth)
    weights, stacked_weights = (net.init(kfun.random.key(0), kfun.Spec.of(x)) for net in (unrolled, stacked))
    params = {f"layer_{i}": nets.hand_residual_params(p) for i, p in enumerate(weights[0].values())}
    scanned = jax.tree.map(lambda *leaves: np.stack(leaves), *params.values())
    found = [unrolled.apply(*weights, x)[0], nets.hand_residual(params, x)]
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
    found = [stacked.apply(*stacked_weights, x)[0], nets.hand_scanned(nets.hand_residual_params(stacked_weights[0]), x)]
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
    runs = {
        "kfun": lambda: jax.jit(nets.kfun_step(unrolled)).lower(weights, x, target),
        "kfun.Stack": lambda: jax.jit(nets.kfun_step(stacked)).lower(stacked_weights, x, target),
        HAND: lambda: jax.jit(nets.pure_step(nets.hand_residual)).lower(params, x, target),
        "by hand, scanned": lambda: jax.jit(nets.pure_step(nets.hand_scanned)).lower(scanned, x, target),
    }
    return interleaved({name: lambda run=run: run().compile() for name, run in runs.items()}, rounds=3)


def dispatch_with_stack(name: str, contestants: dict[str, nets.Net], x: Any) -> dict[str, nets.Net]:
    """The contestants, and the network written with `kfun.Stack`, which hands over fewer arrays."""
    depth = _DEPTH[name]
    make = {
        "mlp": lambda: kfun.Sequential(
            [kfun.Stack(layers.Dense(nets.WIDTH, "relu"), depth - 1), layers.Dense(nets.WIDTH)]
        ),
        "transformer": lambda: kfun.Stack(nets.kfun_block(), depth),
    }[name]
    return contestants | {"kfun.Stack": nets.in_kfun(make, x)}


def main() -> dict[str, float]:
    """Prints all cases; gives the ratios."""
    found: dict[str, float] = {}
    for name in ("mlp", "transformer"):
        x, target = _data(name)
        contestants = _contestants(name, x)
        check_equal(contestants, x, target)
        times = dispatch_times(dispatch_with_stack(name, contestants, x), x, target)
        title = f"{name}, dispatch of a compiled training step"
        found[f"dispatch {name}"] = report(title, times, "kfun", HAND, 0.9)
        found[f"dispatch {name}, Stack"] = report(f"{title}, as a Stack", times, "kfun.Stack", HAND, 0.9)
        title = f"{name}, definition and weights"
        found[f"init {name}"] = report(title, init_times(contestants), "kfun", "equinox", 1.0, 1e3, "ms")
        title = f"{name}, eager forward"
        found[f"eager {name}"] = report(title, eager_times(contestants, x), "kfun", "nnx", 0.3, 1e3, "ms")
    times = compile_times()
    title = "40 residual layers, trace and compile a training step"
    found["compile"] = report(title, times, "kfun", HAND, 1.0, 1, "s")
    found["compile, Stack"] = report(f"{title}, as a Stack", times, "kfun.Stack", HAND, 0.15, 1, "s")
    return found


if __name__ == "__main__":
    main()
