"""The NumPy adapter: the reference answers, eager, one process, no compiler.

NumPy arrays are weak: these rules run where nothing else decides, under `kfun.backend("numpy")`.
"""

from __future__ import annotations

import functools

import numpy as np

from kfun.backends.common.promotion import from_python
from kfun.backends.common.tree import fill, leaves, spread, tree_map
from kfun.backends.numpy import elementwise, functional, matrix, numeric, random, select, shaping, windows
from kfun.ops._kinds import Kind


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    carry, xs = tree_map(from_python, init), tree_map(from_python, xs)
    lengths = {x.shape[0] for x in leaves(xs)} | ({length} if length is not None else set())
    if len(lengths) != 1:
        raise ValueError(f"ops.scan: expected one length of xs and length; received {sorted(lengths)}")
    (steps,) = lengths
    if steps == 0:
        _, y = f(carry, tree_map(lambda x: np.zeros(x.shape[1:], x.dtype), xs))
        return carry, tree_map(lambda y: np.zeros((0, *np.shape(y)), from_python(y).dtype), y)
    ys = []
    for i in reversed(range(steps)) if reverse else range(steps):
        carry, y = f(carry, tree_map(lambda x, i=i: np.asarray(x[i]), xs))
        ys.append(tree_map(from_python, y))
    if reverse:
        ys.reverse()
    return carry, tree_map(lambda *parts: np.stack(parts), *ys)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state = tree_map(from_python, (loop_vars,) if single else tuple(loop_vars))
    steps = 0
    while (maximum_iterations is None or steps < maximum_iterations) and cond(*state):
        out = body(*state)
        state = tree_map(from_python, (out,) if single else tuple(out))
        steps += 1
    return state[0] if single else list(state) if isinstance(loop_vars, list) else state


def cond(pred, true_fn, false_fn):
    return tree_map(from_python, true_fn() if pred else false_fn())


def vmap(fun, in_axes=0, out_axes=0):
    """`fun` of each slice in turn, the results stacked."""

    @functools.wraps(fun)
    def call(*args, **kwargs):
        axes = in_axes if isinstance(in_axes, int) or in_axes is None else tuple(in_axes)
        tree = tree_map(from_python, [list(args), kwargs])
        values, dims = leaves(tree), [*spread(axes, args), *[0] * len(leaves(kwargs))]
        sizes = {x.shape[d] for x, d in zip(values, dims, strict=True) if d is not None}
        if len(sizes) != 1:
            raise ValueError(f"vmap: expected mapped axes of one size; received sizes {sorted(sizes)}")
        outputs = []
        for i in range(*sizes):
            parts = [x if d is None else np.take(x, i, d) for x, d in zip(values, dims, strict=True)]
            inner, named = fill(tree, iter([np.asarray(p) for p in parts]))
            outputs.append(tree_map(from_python, fun(*inner, **named)))
        places = iter(spread(out_axes, outputs[0]))
        return tree_map(lambda *parts: _stacked(parts, next(places)), *outputs)

    return call


def _stacked(parts, axis):
    if axis is not None:
        return np.stack(parts, axis)
    if any(not np.array_equal(p, parts[0], equal_nan=p.dtype.kind == "f") for p in parts):
        raise ValueError("vmap: a result with out_axes=None depends on the mapped axis; give it an axis")
    return parts[0]


def jit(fun, *, static_argnums=(), static_argnames=(), donate_argnums=(), donate_argnames=()):
    """`fun` itself: there is no compiler, so nothing to mark as static and no memory to take over."""
    return fun


RULES = {
    **numeric.RULES,
    **select.RULES,
    **matrix.RULES,
    **functional.RULES,
    **elementwise.RULES,
    **shaping.RULES,
    **windows.RULES,
    **random.RULES,
    "scan": scan,
    "while_loop": while_loop,
    "cond": cond,
    "stop_gradient": lambda variable: tree_map(from_python, variable),
    "vectorized_map": lambda function, elements: vmap(function)(elements),
}

TRANSFORMS = {"vmap": vmap, "jit": jit, **functional.TRANSFORMS}

KIND = Kind("numpy", (np.ndarray, np.generic), RULES, from_python, transforms=TRANSFORMS)
