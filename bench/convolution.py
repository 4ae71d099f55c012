"""Convolution and pooling on JAX's CPU: which formulation is fast, alone and inside loops.

    python bench/convolution.py [directions] [groups] [pooling] [predict] [steps]

Candidates run interleaved; a cell is `CPU (wall)`, the best milliseconds of the rounds, and then
the ratio of CPU time to XLA's own formulation (`lax.conv_general_dilated`, `lax.reduce_window`
and JAX's gradients of them) outside of a loop. CPU time is the steadier of the two on a machine
that others use. `in scan` is per iteration.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kfun.backends.jax.convolution import conv as kfun_conv
from kfun.backends.jax.convolution import max_pool as kfun_max_pool

LAYOUT = ("NHWC", "HWIO", "NHWC")
# batch, size, channels, features, kernel, stride, padding
SHAPES = [
    (64, 28, 1, 32, 3, 1, "valid"),
    (64, 26, 32, 64, 3, 1, "valid"),
    (64, 16, 64, 64, 3, 1, "same"),
    (64, 14, 64, 128, 3, 2, "same"),
    (32, 7, 256, 256, 3, 1, "same"),
    (8, 56, 64, 64, 3, 1, "same"),
    (4, 112, 3, 64, 7, 2, "same"),
    (16, 14, 256, 512, 1, 1, "valid"),
]
# batch, size, channels, features, groups, kernel, stride, padding
GROUPED = [
    (16, 28, 64, 64, 64, 3, 1, "same"),
    (16, 28, 64, 64, 64, 3, 2, "same"),
    (16, 28, 32, 64, 32, 3, 1, "valid"),
    (16, 14, 128, 128, 4, 3, 1, "same"),
]


def xla_conv(x, w, strides=1, padding="valid"):
    return lax.conv_general_dilated(
        x, w, (strides,) * 2, padding.upper(), dimension_numbers=LAYOUT, feature_group_count=x.shape[-1] // w.shape[-2]
    )


def _patches(x, k, s, padding):
    if padding == "same":
        total = max((-(-x.shape[1] // s) - 1) * s + k - x.shape[1], 0)
        around = (total // 2, total - total // 2)
        x = jnp.pad(x, ((0, 0), around, around, (0, 0)))
    end = (x.shape[1] - k) // s * s + 1
    return [x[:, i : i + end : s, j : j + end : s] for i in range(k) for j in range(k)]


def im2col(x, w, strides=1, padding="valid"):
    columns = jnp.concatenate(_patches(x, w.shape[0], strides, padding), -1)
    y = columns.reshape(-1, columns.shape[-1]) @ w.reshape(-1, w.shape[-1])
    return y.reshape(*columns.shape[:-1], -1)


def shifted(x, w, strides=1, padding="valid"):
    taps = w.reshape(-1, *w.shape[2:])
    parts = _patches(x, w.shape[0], strides, padding)
    return sum((p.reshape(-1, p.shape[-1]) @ t).reshape(*p.shape[:-1], -1) for p, t in zip(parts, taps, strict=True))


def tiled(formulation, images=4):
    """A few images at a time, recomputed in the gradient, so that columns stay in cache."""

    def conv(x, w, strides=1, padding="valid"):
        part = jax.checkpoint(lambda t: formulation(t, w, strides, padding), prevent_cse=False)
        y = lax.map(part, x.reshape(-1, images, *x.shape[1:]))
        return y.reshape(-1, *y.shape[2:])

    return conv


CONVOLUTIONS = {
    "xla": xla_conv,
    "im2col": im2col,
    "im2col, tiled": tiled(im2col),
    "k*k products": shifted,
    "k*k products, tiled": tiled(shifted),
    "kfun": kfun_conv,
}


def xla_pool(x, size, strides=None):
    strides = size if strides is None else strides
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, strides, strides, 1), "VALID")


def measure(functions, rounds):
    """Best CPU and wall milliseconds of each, in turn in every round; the first call is not counted."""
    best = dict.fromkeys(functions, (np.inf, np.inf))
    for run in functions.values():
        jax.block_until_ready(run())
    for _ in range(rounds):
        for name, run in functions.items():
            cpu, wall = time.process_time(), time.perf_counter()
            jax.block_until_ready(run())
            now = time.process_time() - cpu, time.perf_counter() - wall
            best[name] = tuple(min(a, 1e3 * b) for a, b in zip(best[name], now, strict=True))
    return best


def directions_of(conv, s, padding):
    def forward(x, w, ct):
        return conv(x, w, s, padding)

    def by_input(x, w, ct):
        return jax.vjp(lambda x: conv(x, w, s, padding), x)[1](ct)[0]

    def by_kernel(x, w, ct):
        return jax.vjp(lambda w: conv(x, w, s, padding), w)[1](ct)[0]

    return {"forward": forward, "input gradient": by_input, "kernel gradient": by_kernel}


def looped(f, unroll=1, length=4):
    """`f` in a scan that can neither hoist it nor drop it."""

    def run(x, w, ct):
        def body(carry, _):
            return 1e-20 * f(x + carry, w + carry, ct + carry).sum(), None

        return lax.scan(body, jnp.float32(0), None, length=length, unroll=unroll)[0]

    return run


MODES = {
    "alone": (jax.jit, 1),
    "in scan": (lambda f: jax.jit(looped(f)), 4),
    "unrolled scan": (lambda f: jax.jit(looped(f, unroll=4)), 4),
}


def cell(times, per, reference):
    return f"{times[0] / per:.2f} ({times[1] / per:.2f}) {times[0] / per / reference:.2f}x"


def compare(title, candidates, arguments, modes, rounds):
    """Prints one line per mode; the ratio is to the first candidate's alone."""
    reference = None
    for mode in modes:
        wrap, per = MODES[mode]
        some = ("xla", "kfun") if mode == "unrolled scan" else candidates
        compiled = {name: wrap(candidates[name]) for name in some}
        best = measure({name: (lambda g=g: g(*arguments)) for name, g in compiled.items()}, rounds)
        reference = reference or best["xla"][0]
        print(
            f"{title:44} {mode:14}" + "  ".join(f"{n}: {cell(t, per, reference)}" for n, t in best.items()), flush=True
        )


def run_directions(rounds, names=tuple(CONVOLUTIONS), modes=tuple(MODES)):
    draw = np.random.default_rng(0)
    for b, d, c, f, k, s, padding in SHAPES:
        x, w = (jnp.asarray(draw.normal(size=n), jnp.float32) for n in ((b, d, d, c), (k, k, c, f)))
        ct = jnp.ones_like(xla_conv(x, w, s, padding))
        for direction in directions_of(xla_conv, s, padding):
            candidates = {n: directions_of(CONVOLUTIONS[n], s, padding)[direction] for n in names}
            title = f"{b}x{d}x{d}x{c}->{f} k{k} s{s} {padding} {direction}"
            compare(title, candidates, (x, w, ct), modes, rounds)


def run_groups(rounds):
    draw = np.random.default_rng(0)
    for b, d, c, f, g, k, s, padding in GROUPED:
        x, w = (jnp.asarray(draw.normal(size=n), jnp.float32) for n in ((b, d, d, c), (k, k, c // g, f)))
        ct = jnp.ones_like(xla_conv(x, w, s, padding))
        for direction in directions_of(xla_conv, s, padding):
            candidates = {n: directions_of(CONVOLUTIONS[n], s, padding)[direction] for n in ("xla", "kfun")}
            title = f"{b}x{d}x{d}x{c}->{f} k{k} s{s} {padding} g{g} {direction}"
            compare(title, candidates, (x, w, ct), ("alone",), rounds)


def run_pooling(rounds):
    def reshaped(x, size, strides=None):
        b, h, w, c = x.shape
        return x.reshape(b, h // size, size, w // size, size, c).max((2, 4))

    x = jax.nn.relu(jax.random.normal(jax.random.key(0), (64, 24, 24, 64)))
    for size, strides in ((2, 2), (3, 2), (3, 1)):
        pools = {"xla": xla_pool, "kfun": kfun_max_pool} | ({"reshape (shares ties)": reshaped} if size == 2 else {})
        ct = jnp.ones_like(xla_pool(x, size, strides))
        for title in ("forward", "forward and gradient"):
            candidates = {name: pooling_of(pool, size, strides, title) for name, pool in pools.items()}
            compare(
                f"max pool {size} s{strides} {title}", candidates, (x, jnp.zeros(()), ct), ("alone", "in scan"), rounds
            )


def pooling_of(pool, size, strides, title):
    if title == "forward":
        return lambda x, w, ct: pool(x, size, strides)
    return lambda x, w, ct: jax.vjp(lambda x: pool(x, size, strides), x)[1](ct)[0]


# A network: its image, and its layers as (kernel, features, stride, padding), "pool" or units.
NETWORKS = {
    "cnn": ((28, 28, 1), [(3, 32, 1, "valid"), (3, 64, 1, "valid"), "pool", 128, 10]),
    "strided": ((28, 28, 1), [(3, 64, 2, "same"), (3, 128, 2, "same"), (3, 128, 2, "same"), 10]),
    "residual": ((16, 16, 64), [(3, 64, 1, "same")] * 4 + ["pool", 10]),
}


def initial(name):
    image, layers = NETWORKS[name]
    draw, params, shape = np.random.default_rng(0), [], jax.ShapeDtypeStruct((1, *image), jnp.float32)
    for layer in layers:
        if layer == "pool":
            shape = jax.eval_shape(lambda x: xla_pool(x, 2), shape)
            continue
        wide = isinstance(layer, tuple)
        size = (layer[0], layer[0], shape.shape[-1], layer[1]) if wide else (int(np.prod(shape.shape[1:])), layer)
        scale = np.sqrt(2 / np.prod(size[:-1]))
        params.append((jnp.asarray(draw.normal(size=size) * scale, jnp.float32), jnp.zeros(size[-1])))
        kernel = jax.ShapeDtypeStruct(size, jnp.float32)
        forward = (lambda x, w, a=layer: xla_conv(x, w, *a[2:])) if wide else (lambda x, w: x.reshape(1, -1) @ w)
        shape = jax.eval_shape(forward, shape, kernel)
    return params


def network(name, conv, pool):
    layers = NETWORKS[name][1]

    def apply(params, x):
        rest = iter(params)
        for layer in layers:
            if layer == "pool":
                x = pool(x, 2)
                continue
            w, b = next(rest)
            residual = x if name == "residual" and isinstance(layer, tuple) else 0
            x = conv(x, w, *layer[2:]) + b if isinstance(layer, tuple) else x.reshape(x.shape[0], -1) @ w + b
            x = x if layer is layers[-1] else jax.nn.relu(x) + residual
        return x

    return apply


def adam_step(apply):
    def loss(params, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(apply(params, x)), y[:, None], 1).mean()

    def step(state, batch):
        params, m, v, t = state
        value, g = jax.value_and_grad(loss)(params, *batch)
        t, tree = t + 1, jax.tree.map
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return (tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), params, m, v), m, v, t), value

    return step


def run_steps(rounds, cases=(("cnn", 64), ("cnn", 32), ("strided", 64), ("residual", 32)), steps=8):
    """Whole training steps, dispatched singly and as one scan: milliseconds a step, seconds to compile."""
    kinds = {
        "xla": (xla_conv, xla_pool),
        "xla, kfun's pooling": (xla_conv, kfun_max_pool),
        "kfun": (kfun_conv, kfun_max_pool),
    }
    for name, batch in cases:
        draw = np.random.default_rng(0)
        xs = jnp.asarray(draw.normal(size=(steps, batch, *NETWORKS[name][0])), jnp.float32)
        ys = jnp.asarray(draw.integers(0, 10, (steps, batch)))
        params = initial(name)
        zeros = jax.tree.map(jnp.zeros_like, params)
        state = (params, zeros, zeros, jnp.zeros(()))
        runs, compiling, per = {}, {}, {}
        for kind, functions in kinds.items():
            step = adam_step(network(name, *functions))
            for way, unroll in (("a step a dispatch", None), ("scan", 1), ("unrolled scan", steps)):
                if (kind == "xla" and way != "a step a dispatch") or (kind == "kfun" and unroll == steps):
                    continue
                # XLA's gradients in a loop take seconds a step: two steps show it.
                count = 2 if way == "scan" and kind != "kfun" else steps
                label = f"{kind}: {way}"
                single = way == "a step a dispatch"
                f = jax.jit(step if single else lambda s, b, step=step, u=unroll: lax.scan(step, s, b, unroll=u))
                data = (xs[0], ys[0]) if single else (xs[:count], ys[:count])
                start = time.process_time()
                f = f.lower(state, data).compile()
                compiling[label], per[label] = time.process_time() - start, 1 if single else count
                runs[label] = functools.partial(f, state, data)
        slow = {k: r for k, r in runs.items() if "xla" in k and k.endswith(": scan")}
        best = measure({k: r for k, r in runs.items() if k not in slow}, rounds) | measure(slow, 1)
        reference = best["xla: a step a dispatch"][0]
        for label in runs:
            line = cell(best[label], per[label], reference)
            print(f"{name} batch {batch:3}  {label:42} {line:28} compile {compiling[label]:.1f} CPU s", flush=True)


def run_predict(rounds):
    for name, batch in (("cnn", 1), ("cnn", 32), ("strided", 32), ("residual", 1), ("residual", 32)):
        x = jax.random.normal(jax.random.key(0), (batch, *NETWORKS[name][0]))
        params = initial(name)
        kinds = {"xla": (xla_conv, xla_pool), "kfun": (kfun_conv, kfun_max_pool)}
        candidates = {kind: network(name, *functions) for kind, functions in kinds.items()}
        compare(f"predict {name} batch {batch}", candidates, (params, x), ("alone",), 10 * rounds)


def main(arguments=()):
    """Runs the named parts, or all."""
    parts = {
        "directions": run_directions,
        "groups": run_groups,
        "pooling": run_pooling,
        "predict": run_predict,
        "steps": run_steps,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="that each candidate runs (default %(default)s)")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    for part in given.parts or parts:
        parts[part](given.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
