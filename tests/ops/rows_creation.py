"""Rows of creation, conversion and control flow."""

from __future__ import annotations

import numpy as np

from kfun import ops
from tests.ops.rows import case, row, several


def _filled(draw):
    return [case((2, 3)), case([2], "int32"), case((), "bool"), case((0, 2), dtype="float16"), case(3)]


def _constant(draw):
    return [
        case((2, 3), 1.5),
        case((2,), 7),
        case((), True),
        case([2, 2], 7, "float32"),
        case((0, 2), 1.0, dtype="int32"),
        case((2, 3), draw.normal(3)),
    ]


def _ranges(draw):
    return [case(5), case(2, 7), case(0, 1, 0.25), case(7, 1, -2), case(0), case(1, 4, dtype="float32"), case(0.0, 3.0)]


def _identities(draw):
    return [case(3), case(2, 4), case(3, k=1), case(3, 3, -1, "int32"), case(2, dtype="bool"), case(0)]


def _alike(draw):
    return [
        case(draw.normal(2, 3)),
        case(draw.integers(0, 9, 3)),
        case(draw.normal(2), "int32"),
        case(draw.bools(0, 2)),
    ]


def _alike_with(draw):
    return [case(draw.normal(2, 3), 2.5), case(draw.integers(0, 9, 3), 4), case(draw.normal(2), 1, "int32")]


def _converted(draw):
    return [
        case(draw.normal(2, 3)),
        case(draw.integers(0, 9, 3), "float32"),
        case(draw.bools(3)),
        case([[1.0, 2.0], [3.0, 4.0]]).but(dtype="float32"),
        case([1, 2]).but(dtype="int32"),
        case(2.5).but(dtype="float32"),
        case([True, False]),
        case(draw.normal(2).astype("float16")),
        case(draw.integers(0, 9, 3).astype("uint8")),
    ]


def _casts(draw):
    return [
        case(draw.normal(2, 3, scale=4), "int32"),
        case(draw.bools(3), "float32"),
        case(draw.integers(-3, 3, 4), "bool"),
        case(draw.normal(3), "float32"),
        case(draw.normal(3), "float16"),
        case(draw.integers(0, 200, 3), dtype="uint8"),
        case(np.float32([0.0, 0.5, np.nan]), "bool"),
    ]


def _running_sum(carry, x):
    total = ops.add(carry, x)
    return total, ops.multiply(total, 2.0)


def _scans(draw):
    def pair(carry, x):
        a, b = carry["a"], carry["b"]
        return {"a": ops.add(a, ops.multiply(b, x[0])), "b": ops.tanh(ops.add(b, x[1]))}, (a, ops.sum(x[1]))

    def without(carry, _):
        carry = ops.sin(carry)
        return carry, carry

    start = {"a": draw.normal(2), "b": draw.normal(2)}
    return [
        case(_running_sum, draw.normal(3), draw.normal(5, 3)),
        case(_running_sum, draw.normal(3), draw.normal(5, 3), reverse=True),
        case(pair, start, (draw.normal(4, 2), draw.normal(4, 2))),
        case(without, draw.normal(2), None, 3),
        case(_running_sum, draw.normal(3), draw.normal(5, 3), unroll=2),
    ]


def _scan_reference(f, init, xs=None, length=None, reverse=False, unroll=1):
    """The loop in NumPy; the ops of the bodies run on the reference backend."""

    def at(tree, i):
        if isinstance(tree, (tuple, list)):
            return type(tree)(at(t, i) for t in tree)
        return None if tree is None else tree[i]

    from kfun import testing_ops
    from kfun.ops._kinds import backend

    first = next(testing_ops._leaves(xs), None)
    steps = range(length if first is None else len(first))
    carry, ys = init, {}
    with backend("jax"):
        for i in reversed(steps) if reverse else steps:
            carry, ys[i] = f(carry, at(xs, i))
    columns = [tuple(testing_ops._leaves(ys[i])) for i in steps]
    return carry, [np.stack([np.asarray(y) for y in column]) for column in zip(*columns, strict=True)]


def _whiles(draw):
    def below(i, x):
        return ops.less(i, 5)

    def twice(i, x):
        return ops.add(i, 1), ops.multiply(x, 2.0)

    return [
        case(below, twice, (np.int32(0), draw.normal(2))),
        case(below, twice, [np.int32(0), draw.normal(2)], maximum_iterations=3),
        case(lambda x: ops.less(ops.sum(x), 100.0), lambda x: ops.multiply(x, 2.0), np.float32([1, 2])),
        case(below, twice, (np.int32(9), draw.normal(2))),
    ]


def _while_reference(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state, done = ((loop_vars,) if single else tuple(loop_vars)), 0
    while bool(cond(*state)) and (maximum_iterations is None or done < maximum_iterations):
        out, done = body(*state), done + 1
        state = (out,) if single else tuple(out)
    return state


def _branches(draw):
    return [case(np.asarray(True), draw.normal(3)), case(np.asarray(False), draw.normal(3))]


def _either(pred, x):
    return ops.cond(pred, lambda: (ops.exp(x), ops.sum(x)), lambda: (ops.negative(x), ops.max(x)))


def _either_reference(pred, x):
    return (np.exp(x), x.sum()) if pred else (-x, x.max())


def _loops(draw):
    def body(i, x):
        return ops.add(ops.multiply(x, 0.5), ops.cast(i, "float32"))

    return [case(0, 4, body, draw.normal(3)), case(2, 2, body, draw.normal(3)), case(1, 5, body, draw.normal())]


def _loop_reference(lower, upper, body_fun, init_val):
    for i in range(lower, upper):
        init_val = init_val * np.float32(0.5) + np.float32(i)
    return init_val


def _maps(draw):
    def row_of(x):
        return ops.sum(ops.multiply(x, x))

    def two(pair):
        return ops.matmul(pair[0], pair[1]), ops.sum(pair[0])

    return [
        case(row_of, draw.normal(4, 3)).but(reference=lambda f, x: np.sum(x * x, 1)),
        case(two, (draw.normal(4, 2, 3), draw.normal(4, 3))).but(
            reference=lambda f, pair: (np.einsum("bij,bj->bi", *pair), pair[0].sum((1, 2)))
        ),
    ]


def _frozen(draw):
    return [case(draw.normal(2, 3)), case({"a": draw.normal(2), "b": [draw.integers(0, 9, 2)]})]


def _numpy(name, default="float32"):
    def reference(*args, **kwargs):
        return getattr(np, name)(*args, **{"dtype": default, **kwargs} if len(args) < 2 else kwargs)

    return reference


ROWS = [
    *several(_filled, "zeros ones", [_numpy("zeros"), _numpy("ones")], grad=False),
    row("full", _constant, np.full, grad=False, vmap=False),
    row("arange", _ranges, np.arange, grad=False),
    row("eye", _identities, lambda N, M=None, k=0, dtype="float32": np.eye(N, M, k, dtype), grad=False),
    *several(_alike, "zeros_like ones_like", np, grad=False),
    row("full_like", _alike_with, np.full_like, grad=False),
    *several(_converted, "convert_to_tensor array", [np.array, np.array], grad=False),
    row(
        "convert_to_numpy",
        lambda draw: [case(draw.normal(2, 3)), case(draw.integers(0, 9, 3)), case(draw.bools(2))],
        lambda x: x,
        dict.fromkeys(("openvino", "onnx"), "a graph value holds no numbers"),
        grad=False,
        jit=False,
        vmap=False,
    ),
    row("cast", _casts, lambda x, dtype: x.astype(dtype), grad=False),
    row(
        "shape",
        lambda draw: [case(draw.normal(2, 3)), case(draw.normal()), case(draw.normal(0, 1))],
        np.shape,
        grad=False,
        jit=False,
        vmap=False,
    ),
    row("scan", _scans, _scan_reference),
    row("while_loop", _whiles, _while_reference, grad=False, vmap=False),
    row("cond", _branches, _either_reference, op=_either),
    row("fori_loop", _loops, _loop_reference),
    row("vectorized_map", _maps, None),
    row("stop_gradient", _frozen, lambda variable: variable, grad=False),
]
