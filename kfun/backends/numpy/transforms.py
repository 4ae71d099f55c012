"""Function transformations on NumPy: loops, and nothing where there is nothing to do."""

from __future__ import annotations

import functools

import numpy as np

from kfun.backends.common import no_gradients
from kfun.backends.common.promotion import from_python
from kfun.backends.common.tree import fill, leaves, spread, tree_map


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


TRANSFORMS = {"vmap": vmap, "jit": jit, **no_gradients.TRANSFORMS}
