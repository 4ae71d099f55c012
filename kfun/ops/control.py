"""Control flow over pytrees, in the form that compilers of every backend accept."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from kfun.backends.common.tree import fill, leaves, tree_map
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Tree, derived, primitive
from kfun.ops._precision import dtype_of
from kfun.ops._transforms import transformed


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


@derived
def map(f: Callable, xs: Tree):
    """`f` of each slice along the leading axis, one after the other, the results stacked.

    `vectorized_map` computes them at once, which is faster and takes more memory.
    """
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


@primitive
def vectorized_map(function: Callable, elements: Tree):
    """`function` of each slice along the leading axis, computed at once (one-argument `vmap`)."""


@derived
def switch(index: Array, branches: Callable, *operands: Tree):
    """`branches[index](*operands)`.

    Args:
        index: an integer scalar; one out of range takes the first or the last branch.
        branches: a list of functions, whose results agree in structure, shapes and dtypes.
        operands: pytrees of arrays.

    Returns:
        What the chosen branch gives.

    Raises:
        ValueError: if there is no branch.
    """
    functions: Any = branches
    if not len(functions):
        raise ValueError("ops.switch: expected at least one branch; received none")

    def among(low, high):
        if high - low == 1:
            return functions[low](*operands)
        middle = (low + high) // 2
        return cond(e.less(index, middle), lambda: among(low, middle), lambda: among(middle, high))

    return among(0, len(functions))


@derived
def associative_scan(f: Callable, elems: Tree, reverse: bool = False, axis=0):
    """The running results `[a, f(a, b), f(f(a, b), c), ...]` of an associative function, in parallel.

    A tree of about 2n applications, 2 log2(n) of them in a row (Blelloch 1990, "Prefix sums and their
    applications"); one step after the other where the length is only known at run time.

    Args:
        f: `(a, b) -> r` on pytrees of arrays like `elems` but of any length along `axis`, elementwise
            along it, with `f(a, f(b, c)) == f(f(a, b), c)`.
        elems: a pytree of arrays of one length along `axis`.
        reverse: from the last to the first.
        axis: what to go along.

    Returns:
        A pytree like `elems`.

    Raises:
        ValueError: if the lengths differ.
    """
    xs = leaves(elems)
    lengths = [c.shape(x)[axis] for x in xs]
    if len({n for n in lengths if isinstance(n, int)}) > 1:
        raise ValueError(f"ops.associative_scan: expected one length along axis {axis}; received {lengths}")

    def combine(first, second):
        out = f(fill(elems, iter(first)), fill(elems, iter(second)))
        return leaves(tree_map(lambda _, y: y, elems, out))

    xs = [s.flip(x, axis) for x in xs] if reverse else xs
    axes = [axis % len(c.shape(x)) for x in xs]
    run = _in_parallel if lengths and all(isinstance(n, int) for n in lengths) else _in_turn
    ys = run(combine, xs, axes, lengths[0]) if lengths else xs
    return fill(elems, iter([s.flip(y, axis) for y in ys] if reverse else ys))


def _in_parallel(combine, xs, axes, n):
    if n < 2:
        return xs
    evens, odds = _parts(xs, axes, 0, n - 1, 2), _parts(xs, axes, 1, None, 2)
    odd = _in_parallel(combine, combine(evens, odds), axes, n // 2)  # the results at 1, 3, ...
    even = _parts(xs, axes, 0, 1)
    if n > 2:
        further = combine(_parts(odd, axes, 0, (n - 1) // 2), _parts(xs, axes, 2, None, 2))
        even = [s.concatenate([y, z], a) for y, z, a in zip(even, further, axes, strict=True)]
    last = _parts(even, axes, n // 2, None)  # one if n is odd
    even = _parts(even, axes, 0, n // 2)
    joined = []
    for y, z, end, a in zip(even, odd, last, axes, strict=True):
        sizes = list(c.shape(z))
        sizes[a] = 2 * (n // 2)
        both = s.reshape(s.stack([y, z], a + 1), sizes)
        joined.append(s.concatenate([both, end], a) if n % 2 else both)
    return joined


def _in_turn(combine, xs, axes, n):
    """A first combination, with zeros, is thrown away: after a loop of no steps graphs know no other size."""

    def step(carry, x):
        begun, last = carry
        new = [s.expand_dims(v, a) for v, a in zip(x, axes, strict=True)]
        new = [e.where(begun, y, v) for y, v in zip(combine(last, new), new, strict=True)]
        return (c.ones_like(begun), new), [s.squeeze(v, a) for v, a in zip(new, axes, strict=True)]

    sizes = [c.shape(x) for x in xs]
    rows = [[1 if i == a else size for i, size in enumerate(of)] for of, a in zip(sizes, axes, strict=True)]
    blank = [c.zeros(row, dtype_of(x)) for row, x in zip(rows, xs, strict=True)]
    moved = [s.moveaxis(x, a, 0) for x, a in zip(xs, axes, strict=True)]
    ys = scan(step, (e.less(n, 0), blank), moved)[1]
    return [s.reshape(s.moveaxis(y, 0, a), of) for y, a, of in zip(ys, axes, sizes, strict=True)]


def _parts(xs, axes, start, stop, step=1):
    return [s.getitem(x, (*(slice(None),) * a, slice(start, stop, step))) for x, a in zip(xs, axes, strict=True)]


def checkpoint(fun: Callable, policy: Callable | str | None = None) -> Callable:
    """`fun` with its intermediate values computed again in the backward pass, not kept.

    Args:
        fun: a function of pytrees.
        policy: which values are kept all the same: one of `jax.checkpoint_policies`, or its name, as
            `"dots_saveable"`. JAX has them; Torch and TensorFlow refuse.
    """
    return transformed("checkpoint", fun, policy=policy)


def custom_gradient(f: Callable) -> Callable:
    """A function with a gradient of its own.

    On Torch the function is run again in the backward pass, so that second derivatives are right.

    Args:
        f: `(*args) -> (output, grad)`. `grad(upstream)` takes the gradient by the output, in its
            structure, to those by the arguments: a tuple, or the one alone. A `grad` with a required
            keyword argument `upstream` is called as `grad(*args, upstream=...)`, Keras's form for Torch.

    Returns:
        `(*args) -> output`.

    Example:
        >>> from kfun import ops
        >>> @ops.custom_gradient
        ... def log1p_exp(x):
        ...     grown = ops.exp(x)
        ...     return ops.log1p(grown), lambda upstream: upstream * (1 - 1 / (1 + grown))
        >>> float(log1p_exp(0.0)) > 0.69
        True
    """

    @functools.wraps(f)
    def paired(*args: Any, **kwargs: Any) -> Any:
        output, grad = f(*args, **kwargs)
        upstream = inspect.signature(grad).parameters.get("upstream")
        by_name = upstream is not None and upstream.kind is upstream.KEYWORD_ONLY and upstream.default is upstream.empty

        def backward(cotangent: Any) -> tuple:
            found = grad(*args, upstream=cotangent) if by_name else grad(cotangent)
            return tuple(found) if isinstance(found, (list, tuple)) else (found,)

        return output, backward

    return transformed("custom_gradient", paired)
