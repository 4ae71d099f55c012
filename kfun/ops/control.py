"""Control flow over pytrees, in the form that compilers of every backend accept."""

from __future__ import annotations

from collections.abc import Callable

from kfun.ops._dispatch import Array, Tree, derived, primitive


@primitive
def scan(f: Callable, init: Tree, xs: Tree = None, length: int | None = None, reverse: bool = False, unroll: int = 1):
    """Folds `f` over the leading axis of `xs`, carrying state.

    Args:
        f: `(carry, x) -> (carry, y)`; the carry keeps structure, shapes and dtypes.
        init: the first carry, a pytree of arrays.
        xs: a pytree of arrays with a leading axis of one length, or None.
        length: number of steps if `xs` is None.
        reverse: from the last step to the first; the ys stay in the order of the xs.
        unroll: steps per loop iteration, where the backend has a compiled loop.

    Returns:
        `(last carry, ys)`, the ys stacked along a new leading axis.
    """


@primitive
def while_loop(cond: Callable, body: Callable, loop_vars: Tree, maximum_iterations: int | None = None):
    """Applies `body` while `cond` holds: both take the loop variables as arguments.

    `loop_vars` is a tuple or list (its elements become the arguments) or one array.
    """


@primitive
def cond(pred: Array, true_fn: Callable, false_fn: Callable):
    """`true_fn()` or `false_fn()`, whose results agree in structure, shape and dtype."""


@primitive
def stop_gradient(variable: Tree):
    """The same values, through which no gradient flows."""


@derived
def fori_loop(lower, upper, body_fun: Callable, init_val: Tree):
    """Applies `val = body_fun(i, val)` for i from `lower` up to but without `upper`."""
    state = while_loop(lambda i, _: i < upper, lambda i, v: (i + 1, body_fun(i, v)), (lower, init_val))
    return state[1]


@primitive
def vectorized_map(function: Callable, elements: Tree):
    """`function` of each slice along the leading axis, computed at once (one-argument `vmap`)."""
