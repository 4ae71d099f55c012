"""Fifty steps of an optimizer of ours and of Keras's from the same start with the same gradients."""

from __future__ import annotations

import functools
import warnings

import numpy as np

import kfun
from kfun import ops

STEPS = 50
SHAPES = {
    "embedding": {"embeddings": (7, 4)},
    "head": {"kernel": (3, 6), "bias": (6,)},
    "mix": {"kernel": (2, 3, 4), "gain": ()},
}


def paths():
    return [f"{layer}/{name}" for layer, weights in SHAPES.items() for name in weights]


@functools.cache
def _data():
    random = np.random.default_rng(7)

    def draw(scale, *lead):
        return {
            layer: {n: np.float32(scale * random.normal(size=(*lead, *shape))) for n, shape in weights.items()}
            for layer, weights in SHAPES.items()
        }

    params, pull, noise = draw(0.5), draw(1.0), draw(1.0, STEPS)
    scale = 10 ** np.float32(random.uniform(-2, 1, size=STEPS))
    gradients = [
        {la: {n: np.float32(s * (0.6 * pull[la][n] + noise[la][n][t])) for n in w} for la, w in SHAPES.items()}
        for t, s in enumerate(scale)
    ]
    return params, gradients


def start():
    """Params and the gradients of each step, as NumPy arrays."""
    return _data()


def leaves(tree):
    return [tree[layer][name] for layer, weights in SHAPES.items() for name in weights]


def flat(tree):
    return [np.asarray(x) for x in leaves(tree)]


def by_keras(make, steps=STEPS, exclude=()):
    """The params after each step, and the optimizer's variables at the end, of a Keras optimizer."""
    import jax
    import keras

    keras.utils.clear_session()  # names begin anew
    params, gradients = start()
    variables = []
    for layer, weights in SHAPES.items():
        with keras.name_scope(layer):
            variables += [keras.Variable(params[layer][name], name=name) for name in weights]
    optimizer = make(keras.optimizers)
    if exclude:
        optimizer.exclude_from_weight_decay(var_names=list(exclude))
    optimizer.build(variables)
    apply = jax.jit(optimizer.stateless_apply)
    values, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    trajectory = []
    for gradient in gradients[:steps]:
        values, state = apply(state, [jax.numpy.asarray(g) for g in flat(gradient)], values)
        trajectory.append([np.asarray(v) for v in values])
    return trajectory, [(v.path, np.asarray(s)) for v, s in zip(optimizer.variables, state, strict=True)]


def by_kfun(optimizer, backend="jax", steps=STEPS, jit=True):
    """The params after each step, and the state at the end, of a kfun optimizer on one backend."""
    params, gradients = start()
    with kfun.backend(backend), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        params = kfun.convert(params, backend)
        state = optimizer.init(params)
        step = kfun.jit(optimizer.update) if jit and backend == "jax" else optimizer.update
        trajectory = []
        for gradient in gradients[:steps]:
            updates, state = step(kfun.convert(gradient, backend), state, params)
            params = kfun.optim.apply_updates(params, updates)
            trajectory.append([np.asarray(ops.convert_to_numpy(x)) for x in leaves(params)])
        return trajectory, state


def assert_same(received, expected, rtol=1e-5):
    """Each array after step t within `rtol` of how far it has moved, and t + 4 roundings of its largest element.

    Each step rounds the weights anew. Keras rounds them twice where they decay, kfun once, so that
    the two drift apart by half a unit in the last place a step.
    """
    first = flat(start()[0])
    for t, (ours, theirs) in enumerate(zip(received, expected, strict=True), 1):
        for path, a, b, x in zip(paths(), ours, theirs, first, strict=True):
            assert a.dtype == b.dtype, (path, a.dtype, b.dtype)
            allowed = rtol * np.abs(b - x).max() + (t + 4) * 2.0**-24 * max(np.abs(b).max(), np.abs(x).max())
            difference = np.abs(a - b).max()
            assert difference <= allowed, f"step {t}, {path}: differs by {difference}, allowed {allowed}"
