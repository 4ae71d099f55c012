"""Control flow over pytrees on TensorFlow: Python loops eagerly, `tf.while_loop` in graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from jax import tree_util

from kfun.backends.tensorflow.arrays import SCALARS, as_bool, cast_to, size

# A scan of at most so many steps is written out in a graph: short loops run and convert better so.
_UNROLLED = 32


def as_tensor(leaf: Any) -> tf.Tensor:
    """A leaf of a pytree as a tensor; Python floats are float32, integers int32."""
    return tf.convert_to_tensor(leaf, tf.complex64) if type(leaf) is complex else tf.convert_to_tensor(leaf)


def flatten(tree: Any) -> tuple[list[tf.Tensor], Any]:
    """`(leaves as tensors, structure)`."""
    leaves, structure = tree_util.tree_flatten(tree)
    return [as_tensor(leaf) for leaf in leaves], structure


def _kept(new: Any, like: list[tf.Tensor], structure: Any, op: str) -> list[tf.Tensor]:
    """The leaves of the next state of a loop, which has the structure, dtypes and shapes of the first.

    Raises:
        TypeError: if it differs.
    """
    leaves, found = tree_util.tree_flatten(new)
    if found != structure:
        raise TypeError(f"ops.{op}: expected the loop's state to keep the structure {structure}; received {found}")
    kept = []
    for leaf, first in zip(leaves, like, strict=True):
        if type(leaf) in SCALARS:
            leaf = cast_to(leaf, first.dtype)
        leaf = tf.convert_to_tensor(leaf)
        if leaf.dtype != first.dtype or not leaf.shape.is_compatible_with(first.shape):
            raise TypeError(
                f"ops.{op}: expected the loop's state to stay {first.dtype.name}{first.shape}; received "
                f"{leaf.dtype.name}{leaf.shape}: cast or reshape it in the body, or give the first state that form"
            )
        if not tf.executing_eagerly():
            leaf = tf.ensure_shape(leaf, first.shape) if leaf.shape != first.shape else leaf
        kept.append(leaf)
    return kept


def scan(f: Callable, init: Any, xs: Any = None, length: Any = None, reverse: bool = False, unroll: int | bool = 1):
    carry, structure = flatten(init)
    inputs, inputs_structure = flatten(xs)
    n = _length(inputs, length)

    def step(carry, x):
        new, y = f(tree_util.tree_unflatten(structure, carry), tree_util.tree_unflatten(inputs_structure, x))
        return _kept(new, carry, structure, "scan"), y

    if tf.executing_eagerly() and isinstance(n, tf.Tensor):
        n = int(n)
    known = isinstance(n, int)
    if known and (tf.executing_eagerly() or n <= _UNROLLED or unroll is True or unroll >= n):
        carry, ys = _unrolled(step, carry, inputs, n, reverse)
    else:
        carry, ys = _looped(step, carry, inputs, n, reverse, int(unroll) if known else 1)
    return tree_util.tree_unflatten(structure, carry), ys


def _length(inputs, length):
    """The number of steps: an int if known, else a scalar tensor."""
    if not inputs and length is None:
        raise ValueError("ops.scan: expected xs or length; received neither")
    found = [size(x, 0) for x in inputs] + ([] if length is None else [length])
    known = {n for n in found if isinstance(n, int)}
    if len(known) > 1:
        raise ValueError(f"ops.scan: expected one length of xs (and `length`); received {sorted(known)}")
    return known.pop() if known else tf.cast(found[0], tf.int32)


def _unrolled(step, carry, inputs, n, reverse):
    if n == 0:
        ys, ys_structure = _results(step, carry, inputs)
        return carry, tree_util.tree_unflatten(ys_structure, [tf.zeros((0, *y.shape), y.dtype) for y in ys])
    slices = [tf.unstack(x, n) for x in inputs]
    collected = []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = step(carry, [s[i] for s in slices])
        collected.append(y)
    if reverse:
        collected.reverse()
    return carry, tree_util.tree_map(lambda *parts: tf.stack([as_tensor(p) for p in parts]), *collected)


def _results(step, carry, inputs):
    """The specs of what one step gives out, by tracing it."""
    found = {}

    def traced(carry, x):
        ys, found["structure"] = flatten(step(carry, x)[1])
        found["specs"] = [tf.TensorSpec(y.shape, y.dtype) for y in ys]
        return ys

    specs = [tf.TensorSpec(c.shape, c.dtype) for c in carry]
    tf.function(traced, autograph=False).get_concrete_function(
        specs, [tf.TensorSpec(x.shape[1:], x.dtype) for x in inputs]
    )
    return found["specs"], found["structure"]


def _looped(step, carry, inputs, n, reverse, stride):
    """`stride` steps per iteration; what remains is written out behind the loop."""
    specs, ys_structure = _results(step, carry, inputs)
    sources = [tf.TensorArray(x.dtype, n, element_shape=x.shape[1:], clear_after_read=False).unstack(x) for x in inputs]
    # A shape that the body knows in full lets converters and XLA lay the array out before the loop.
    outputs = tuple(tf.TensorArray(s.dtype, n, element_shape=s.shape) for s in specs)

    def one(s, carry, outputs):
        at = n - 1 - s if reverse else s
        carry, y = step(list(carry), [source.read(at) for source in sources])
        return carry, [out.write(at, as_tensor(v)) for out, v in zip(outputs, tree_util.tree_leaves(y), strict=True)]

    def body(i, carry, outputs):
        for j in range(stride):
            carry, outputs = one(i * stride + j, carry, outputs)
        return i + 1, tuple(carry), tuple(outputs)

    trips = n // stride
    state = (tf.constant(0), tuple(carry), outputs)
    _, carry, outputs = tf.while_loop(lambda i, *_: i < trips, body, state, maximum_iterations=trips)
    for s in range(trips * stride, n) if isinstance(n, int) else ():
        carry, outputs = one(s, carry, outputs)
    ys = [out.stack() for out in outputs]
    for y, spec in zip(ys, specs, strict=True):
        y.set_shape((n if isinstance(n, int) else None, *spec.shape))
    return list(carry), tree_util.tree_unflatten(ys_structure, ys)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    first, structure = flatten((loop_vars,) if single else tuple(loop_vars))

    def values(leaves):
        return tree_util.tree_unflatten(structure, list(leaves))

    def going(*leaves):
        return as_bool(cond(*values(leaves)))

    def step(*leaves):
        out = body(*values(leaves))
        return tuple(_kept((out,) if single else tuple(out), first, structure, "while_loop"))

    if maximum_iterations is not None:
        maximum_iterations = tf.cast(maximum_iterations, tf.int32)
    out = values(tf.while_loop(going, step, tuple(first), maximum_iterations=maximum_iterations))
    return out[0] if single else (list(out) if isinstance(loop_vars, list) else out)


def fori_loop(lower, upper, body_fun, init_val):
    first, structure = flatten(init_val)
    lower, upper = _trip_bound(lower), _trip_bound(upper)

    def step(i, *leaves):
        new = body_fun(i, tree_util.tree_unflatten(structure, list(leaves)))
        return (i + 1, *_kept(new, first, structure, "fori_loop"))

    start = tf.cast(lower, tf.int32)
    # The number of trips lets XLA differentiate the loop.
    trips = max(upper - lower, 0) if isinstance(upper - lower, int) else tf.maximum(tf.cast(upper, tf.int32) - start, 0)
    _, *out = tf.while_loop(lambda i, *_: i < upper, step, (start, *first), maximum_iterations=trips)
    return tree_util.tree_unflatten(structure, out)


def _trip_bound(value):
    return value if isinstance(value, int) else tf.cast(value, tf.int32)


def cond(pred, true_fn, false_fn):
    structures = []

    def branch(function):
        def flat():
            leaves, structure = flatten(function())
            structures.append(structure)
            if structure != structures[0]:
                raise TypeError(
                    f"ops.cond: expected branches of one structure; received {structures[0]} and {structure}"
                )
            return leaves

        return flat

    out = tf.cond(as_bool(pred), branch(true_fn), branch(false_fn))
    return tree_util.tree_unflatten(structures[0], out if isinstance(out, (list, tuple)) else [out])


def stop_gradient(variable):
    return tree_util.tree_map(
        lambda leaf: tf.stop_gradient(leaf) if isinstance(leaf, (tf.Tensor, tf.Variable)) else leaf, variable
    )


def vectorized_map(function, elements):
    leaves, structure = flatten(elements)
    lengths = {d for d in (leaf.shape[0] for leaf in leaves) if d is not None}
    if len(lengths) > 1:
        raise ValueError(f"expected one size along the mapped axes; received sizes {sorted(lengths)}")
    found = []

    def flat(slices):
        out, out_structure = flatten(function(tree_util.tree_unflatten(structure, slices)))
        found.append(out_structure)
        return out

    out = tf.vectorized_map(flat, leaves)
    return tree_util.tree_unflatten(found[-1], out)


RULES = {
    "scan": scan,
    "while_loop": while_loop,
    "fori_loop": fori_loop,
    "cond": cond,
    "stop_gradient": stop_gradient,
    "vectorized_map": vectorized_map,
}
