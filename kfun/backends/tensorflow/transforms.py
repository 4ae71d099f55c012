"""Function transformations on TensorFlow with JAX's signatures, over pytrees.

Reverse mode is `tf.GradientTape`, forward mode `tf.autodiff.ForwardAccumulator`, `vmap` is
`tf.vectorized_map` and `jit` is `tf.function`. Each level works on its own copies of the
arguments, so that levels nest and one array may be passed twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from jax import tree_util

from kfun.backends.tensorflow.arrays import rank
from kfun.backends.tensorflow.control import as_tensor, flatten, vectorized_map
from kfun.errors import UnsupportedOp

_ZERO = tf.UnconnectedGradients.ZERO


def _watched(tree: Any, name: str) -> tuple[list[tf.Tensor], Any]:
    """Fresh copies of the leaves to differentiate by.

    Raises:
        TypeError: if one is not floating or complex.
    """
    leaves, structure = flatten(tree)
    for leaf in leaves:
        if not (leaf.dtype.is_floating or leaf.dtype.is_complex):
            raise TypeError(
                f"{name}: expected floating arrays to differentiate by; received {leaf.dtype.name}: "
                "cast it, or name the other arguments in argnums"
            )
    return [tf.identity(leaf) for leaf in leaves], structure


def _dense(gradient: Any) -> Any:
    """Gradients of gathers are sparse; they are made arrays of the whole."""
    return tf.convert_to_tensor(gradient)


def _chosen(args: tuple, argnums: Any) -> tuple[Any, tuple[int, ...]]:
    """The arguments at `argnums`, one or a tuple, and their positions."""
    many = not isinstance(argnums, int)
    positions = tuple(n % len(args) for n in (argnums if many else (argnums,)))
    return tuple(args[n] for n in positions) if many else args[positions[0]], positions


def _replaced(args: tuple, positions: tuple[int, ...], chosen: Any, many: bool) -> list:
    args = list(args)
    for position, value in zip(positions, chosen if many else (chosen,), strict=True):
        args[position] = value
    return args


def _bound(fun: Callable, args: tuple, kwargs: dict, argnums: Any, name: str):
    """`(leaves, structure, g)`: `g(leaves)` is `fun` as a function of the chosen arguments alone."""
    chosen, positions = _chosen(args, argnums)
    leaves, structure = _watched(chosen, name)
    many = not isinstance(argnums, int)

    def of_leaves(values):
        return fun(*_replaced(args, positions, tree_util.tree_unflatten(structure, values), many), **kwargs)

    return leaves, structure, of_leaves


def value_and_grad(fun: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    @functools.wraps(fun)
    def call(*args, **kwargs):
        leaves, structure, of_leaves = _bound(fun, args, kwargs, argnums, "grad")
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            result = of_leaves(leaves)
            value = as_tensor(result[0] if has_aux else result)
        if value.shape.rank != 0 or not value.dtype.is_floating:
            raise TypeError(
                f"grad: expected a function whose value is a floating scalar; received {value.dtype.name} "
                f"{value.shape}: reduce it, use jacrev, or set has_aux if it gives (value, aux)"
            )
        gradients = tape.gradient(value, leaves, unconnected_gradients=_ZERO)
        gradients = tree_util.tree_unflatten(structure, list(map(_dense, gradients)))
        return ((value, result[1]) if has_aux else value), gradients

    return call


def grad(fun: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    both = value_and_grad(fun, argnums, has_aux)

    @functools.wraps(fun)
    def call(*args, **kwargs):
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return call


def vjp(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    leaves, structure = _watched(primals, "vjp")
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(leaves)
        result = fun(*tree_util.tree_unflatten(structure, leaves))
        outputs, out_structure = flatten(result[0] if has_aux else result)

    def pullback(cotangent):
        cotangents, found = flatten(cotangent)
        if found != out_structure:
            raise TypeError(f"vjp: expected a cotangent of the structure {out_structure}; received {found}")
        gradients = tape.gradient(outputs, leaves, cotangents, unconnected_gradients=_ZERO)
        return tree_util.tree_unflatten(structure, list(map(_dense, gradients)))

    value = tree_util.tree_unflatten(out_structure, outputs)
    return (value, pullback, result[1]) if has_aux else (value, pullback)


def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> tuple:
    leaves, structure = _watched(tuple(primals), "jvp")
    directions, found = flatten(tuple(tangents))
    if found != structure:
        raise TypeError(f"jvp: expected tangents of the structure of the primals, {structure}; received {found}")
    result, outputs, out_structure, moved = _pushed(
        lambda values: fun(*tree_util.tree_unflatten(structure, values)), leaves, directions, has_aux
    )
    value = tree_util.tree_unflatten(out_structure, outputs)
    tangent = tree_util.tree_unflatten(out_structure, moved)
    return (value, tangent, result[1]) if has_aux else (value, tangent)


def _pushed(of_leaves, leaves, directions, has_aux):
    with tf.autodiff.ForwardAccumulator(leaves, directions) as forward:
        try:
            result = of_leaves(leaves)
        except AttributeError as error:  # TensorFlow's own, in the gradient of a traced loop
            if "python_grad_func" not in str(error):
                raise
            reason = "TensorFlow has no forward mode through a Jacobian of a gradient; take jacrev or vjp of it"
            raise UnsupportedOp("jvp", "tensorflow", reason) from error
        outputs, structure = flatten(result[0] if has_aux else result)
    return result, outputs, structure, [forward.jvp(out, unconnected_gradients=_ZERO) for out in outputs]


def jacrev(fun: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    @functools.wraps(fun)
    def call(*args, **kwargs):
        leaves, structure, of_leaves = _bound(fun, args, kwargs, argnums, "jacrev")
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(leaves)
            result = of_leaves(leaves)
            outputs, out_structure = flatten(result[0] if has_aux else result)
        rows = [tape.jacobian(out, leaves, unconnected_gradients=_ZERO) for out in outputs]
        blocks = [tree_util.tree_unflatten(structure, list(map(_dense, row))) for row in rows]
        blocks = tree_util.tree_unflatten(out_structure, blocks)
        return (blocks, result[1]) if has_aux else blocks

    return call


def jacfwd(fun: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    @functools.wraps(fun)
    def call(*args, **kwargs):
        leaves, structure, of_leaves = _bound(fun, args, kwargs, argnums, "jacfwd")
        found = {}

        def column(k, direction):
            directions = [tf.zeros_like(leaf) for leaf in leaves]
            directions[k] = tf.reshape(direction, tf.shape(leaves[k]))
            result, _, found["structure"], moved = _pushed(of_leaves, leaves, directions, has_aux)
            found.setdefault("aux", result[1] if has_aux and tf.executing_eagerly() else None)
            return moved

        # columns[k][i]: output i by leaf k, the leaf's elements along the first axis
        columns = [
            tf.vectorized_map(functools.partial(column, k), tf.eye(tf.size(leaf), dtype=leaf.dtype))
            for k, leaf in enumerate(leaves)
        ]
        outputs = range(len(columns[0]))
        rows = [[_column_last(column[i], leaf) for column, leaf in zip(columns, leaves, strict=True)] for i in outputs]
        blocks = [tree_util.tree_unflatten(structure, row) for row in rows]
        blocks = tree_util.tree_unflatten(found["structure"], blocks)
        return (blocks, of_leaves(leaves)[1]) if has_aux else blocks

    return call


def _column_last(columns: tf.Tensor, leaf: tf.Tensor) -> tf.Tensor:
    """`[N, out...]` as `[out..., in...]`, N the number of elements of the input."""
    n = rank(columns)
    moved = tf.transpose(columns, [*range(1, n), 0])
    return tf.reshape(moved, tf.concat([tf.shape(columns)[1:], tf.shape(leaf)], 0))


def hessian(fun: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    """Reverse over reverse mode, for which every operation of TensorFlow has gradients."""
    return jacrev(jacrev(fun, argnums, has_aux), argnums, has_aux)


def vmap(fun: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    @functools.wraps(fun)
    def call(*args, **kwargs):
        axes = tuple(in_axes) if isinstance(in_axes, (list, tuple)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ValueError(f"vmap: expected in_axes for {len(args)} arguments; received {in_axes!r}")
        leaves, structure = flatten((args, kwargs))
        along = _prefix((axes, dict.fromkeys(kwargs, 0)), (args, kwargs), "in_axes")
        mapped = [_moved(leaf, a, 0) for leaf, a in zip(leaves, along, strict=True) if a is not None]
        if not mapped:
            raise ValueError(f"vmap: expected an array that is mapped; received in_axes={in_axes!r}")

        def one(slices):
            given = iter(slices)
            values = [leaf if a is None else next(given) for leaf, a in zip(leaves, along, strict=True)]
            args, kwargs = tree_util.tree_unflatten(structure, values)
            return fun(*args, **kwargs)

        out = vectorized_map(one, mapped)
        outputs, out_structure = tree_util.tree_flatten(out)
        places = _prefix(out_axes, out, "out_axes")
        if None in places:
            raise ValueError(
                "vmap: expected an int for each result in out_axes; TensorFlow maps all, so take [0] of it"
            )
        moved = [_moved(leaf, 0, to) for leaf, to in zip(outputs, places, strict=True)]
        return tree_util.tree_unflatten(out_structure, moved)

    return call


def _moved(x: tf.Tensor, source: int, target: int) -> tf.Tensor:
    n = rank(x)
    source, target = source % n, target % n
    if source == target:
        return x
    order = [a for a in range(n) if a != source]
    order.insert(target, source)
    return tf.transpose(x, order)


def _prefix(axes: Any, tree: Any, name: str) -> list:
    """One axis for each leaf, from a tree of axes that may end above the leaves."""
    try:
        full = tree_util.tree_map(
            lambda axis, part: [axis] * len(tree_util.tree_leaves(part)), axes, tree, is_leaf=lambda a: a is None
        )
    except ValueError as error:
        raise ValueError(f"vmap: expected {name} to be an int or a tree of the form of the values: {error}") from error
    return tree_util.tree_leaves(full, is_leaf=lambda a: a is None)


def jit(fun: Callable, static_argnums: Any = (), static_argnames: Any = (), donate_argnums: Any = ()) -> Callable:
    """`tf.function(autograph=False)`, compiled anew for each form, shape and dtype of the arguments.

    Python numbers among the arguments are traced as arrays. `donate_argnums` is a permission of
    which TensorFlow makes no use.
    """
    positions = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)
    names = {static_argnames} if isinstance(static_argnames, str) else set(static_argnames)
    compiled: dict[tuple, tuple[Callable, dict]] = {}

    @functools.wraps(fun)
    def call(*args, **kwargs):
        fixed = {n % len(args) for n in positions if -len(args) <= n < len(args)}
        static = ({n: args[n] for n in fixed}, {k: v for k, v in kwargs.items() if k in names})
        dynamic = (
            [a for n, a in enumerate(args) if n not in fixed],
            {k: v for k, v in kwargs.items() if k not in names},
        )
        leaves, structure = flatten(dynamic)
        forms = tuple((leaf.dtype, None if leaf.shape.rank is None else tuple(leaf.shape)) for leaf in leaves)
        key = (structure, forms, *(_hashable(part) for part in static))
        if key not in compiled:
            compiled[key] = _compiled(fun, len(args), static, structure)
        function, found = compiled[key]
        out = function(leaves)  # the first call traces, which finds the structure
        return tree_util.tree_unflatten(found["structure"], out)

    return call


def _hashable(static: dict) -> tuple:
    # 1, 1.0 and True are equal but mean different traces.
    return tuple(sorted(((k, type(v).__name__, v) for k, v in static.items()), key=lambda item: item[0]))


def _compiled(fun: Callable, count: int, static: tuple[dict, dict], structure: Any) -> tuple[Callable, dict]:
    found = {}

    def flat(leaves):
        values, named = tree_util.tree_unflatten(structure, leaves)
        rest = iter(values)
        args = [static[0][n] if n in static[0] else next(rest) for n in range(count)]
        out, found["structure"] = flatten(fun(*args, **named, **static[1]))
        return out

    return tf.function(flat, autograph=False), found


def checkpoint(fun: Callable, policy: Any = None) -> Callable:
    """Keeps only the arguments for the backward pass, and arrays that `fun` closes over."""
    if policy is not None:
        raise TypeError("checkpoint on TensorFlow takes no policy: leave it out, or run this function on JAX arrays")

    @functools.wraps(fun)
    def call(*args, **kwargs):
        leaves, structure = flatten((args, kwargs))
        found = {}

        def flat(*values):
            args, kwargs = tree_util.tree_unflatten(structure, list(values[: len(leaves)]))
            out, found["structure"] = flatten(fun(*args, **kwargs))
            return out

        out = _recomputed(flat, leaves)
        return tree_util.tree_unflatten(found["structure"], out)

    return call


def _recomputed(flat: Callable, leaves: list[tf.Tensor]) -> list[tf.Tensor]:
    # tf.recompute_grad loses the gradients of arrays that the function closes over: a trace finds them.
    specs = [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves]
    captured = tf.function(flat, autograph=False).get_concrete_function(*specs).captured_inputs
    captured = [c for c in captured if c.dtype.is_floating]

    @tf.custom_gradient
    def run(*inputs):
        def backward(*cotangents):
            # Without the dependency the graph optimizer merges the second run with the first.
            with tf.control_dependencies(cotangents):
                again = [tf.identity(leaf) for leaf in leaves]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([*again, *captured])
                outputs = flat(*again)
            kept = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.dtype.is_floating]
            sources = [x for x in (*again, *captured) if x.dtype.is_floating]
            gradients = iter(
                tape.gradient([o for o, _ in kept], sources, [c for _, c in kept], unconnected_gradients=_ZERO)
            )
            return [_dense(next(gradients)) if x.dtype.is_floating else None for x in inputs]

        return flat(*inputs), backward

    return run(*leaves, *captured)


TRANSFORMS = {
    "grad": grad,
    "value_and_grad": value_and_grad,
    "vjp": vjp,
    "jvp": jvp,
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "hessian": hessian,
    "vmap": vmap,
    "jit": jit,
    "checkpoint": checkpoint,
}
