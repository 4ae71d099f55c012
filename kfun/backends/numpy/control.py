"""Loops and branches on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.common.promotion import from_python
from kfun.backends.common.tree import leaves, tree_map
from kfun.backends.numpy.transforms import vmap


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


RULES = {
    "scan": scan,
    "while_loop": while_loop,
    "cond": cond,
    "stop_gradient": lambda variable: tree_map(from_python, variable),
    "vectorized_map": lambda function, elements: vmap(function)(elements),
}
