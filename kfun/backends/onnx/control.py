"""Loops and branches on ONNX. What a body uses of the graph around it, it sees there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kfun.backends.common.tree import fill, leaves
from kfun.backends.graphs.graph_rules import alike, pairs_of_branches, scan_length
from kfun.backends.onnx import creation, shaping
from kfun.backends.onnx.graph import subgraph
from kfun.backends.onnx.promotion import truth
from kfun.backends.onnx.value import Body, Dim, Value, as_value, emit, node, promoted, visible


def _outside(shape: Sequence[Any]) -> list:
    """Sizes as the graph around a body knows them: those that the body computes are open there."""
    return [size if isinstance(size, int) or visible(size.body) else None for size in shape]


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """ONNX's Scan where the number of steps is known, else Loop: Scan (onnxruntime 1.31) refuses to make no step.

    Both run one step at a time, so `unroll` changes nothing.
    """
    carry, sequences = [as_value(v) for v in leaves(init)], [as_value(x) for x in leaves(xs)]
    size = scan_length(sequences, length)
    run = _scanned if isinstance(size, (int, np.integer)) and size > 0 else _looped

    def step(carried: Sequence[Value], items: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        nonlocal ys
        new, ys = f(fill(init, iter(carried)), fill(xs, iter(items)))
        return alike("ops.scan: the carry", init, carry, new, as_value), [as_value(y) for y in leaves(ys)]

    ys: Any = None
    made = run(step, carry, sequences, size, reverse)
    return fill(init, iter(made[: len(carry)])), fill(ys, iter(made[len(carry) :]))


def _scanned(step: Callable, carry: list[Value], sequences: list[Value], size: int, reverse: bool) -> list[Value]:
    steps = sequences or [creation.arange(0, size, 1, "int64")]  # Scan goes over something
    with Body() as body:
        carried = [body.parameter(v.dtype, v.shape) for v in carry]
        new, ys = step(carried, [body.parameter(x.dtype, x.shape[1:]) for x in steps])
        attributes = {"body": subgraph(body, [*new, *ys]), "num_scan_inputs": len(steps)}
    if reverse:
        directions = {"scan_input_directions": [1] * len(steps), "scan_output_directions": [1] * len(ys)}
        attributes |= {name: value for name, value in directions.items() if value}
    return node("Scan", [*carry, *steps], _results(carry, ys, size), attributes)


def _looped(step: Callable, carry: list[Value], sequences: list[Value], size: Any, reverse: bool) -> list[Value]:
    count = as_value(size, "int64")
    last = emit("Sub", count, as_value(1, "int64"))
    with Body() as body:
        number, _ = body.parameter("int64", []), body.parameter("bool", [])
        carried = [body.parameter(v.dtype, v.shape) for v in carry]
        at = emit("Sub", last, number) if reverse else number
        new, ys = step(carried, [emit("Gather", x, at, axis=0) for x in sequences])
        graph = subgraph(body, [as_value(True), *new, *ys])
    made = node("Loop", [count, None, *carry], _results(carry, ys, size), {"body": graph})
    return [*made[: len(carry)], *(shaping.flip(y, 0) if reverse else y for y in made[len(carry) :])]


def _results(carry: Sequence[Value], ys: Sequence[Value], size: Any) -> list[tuple]:
    """Dtypes and shapes of the last carry and of the stacked results."""
    length = size if isinstance(size, (int, np.integer, Dim)) else None
    return [(v.dtype, v.shape) for v in carry] + [(y.dtype, [length, *_outside(y.shape)]) for y in ys]


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state = (loop_vars,) if single else loop_vars
    carry = [as_value(v) for v in leaves(state)]
    going = _flag(cond(*fill(state, iter(carry))))
    with Body() as inside:
        inside.parameter("int64", [])  # the number of the step
        inside.parameter("bool", [])
        carried = [inside.parameter(v.dtype, v.shape) for v in carry]
        new = body(*fill(state, iter(carried)))
        new = (new,) if single else type(state)(new)
        out = alike("ops.while_loop: the state", state, carry, new, as_value)
        graph = subgraph(inside, [_flag(cond(*fill(state, iter(out)))), *out])
    limit = None if maximum_iterations is None else as_value(maximum_iterations, "int64")
    last = fill(state, iter(node("Loop", [limit, going, *carry], [(v.dtype, v.shape) for v in carry], {"body": graph})))
    return last[0] if single else last


def _flag(x: Any) -> Value:
    flag = truth(x)
    return flag if flag.ndim == 0 else shaping.reshape(flag, ())


def cond(pred, true_fn, false_fn):
    known = pred.constant if isinstance(pred, Value) else pred
    if isinstance(known, (bool, int, float, np.generic, np.ndarray)):
        return true_fn() if np.asarray(known).item() else false_fn()
    pred = _flag(pred)
    bodies, trees = (Body(), Body()), []
    for body, function in zip(bodies, (true_fn, false_fn), strict=True):
        with body:
            trees.append(function())
    pairs = pairs_of_branches(*trees)
    types = [promoted(*pair) for pair in pairs]
    graphs, shapes = [], []
    for i, body in enumerate(bodies):
        with body:
            outputs = [as_value(pair[i], dtype) for pair, dtype in zip(pairs, types, strict=True)]
            graphs.append(subgraph(body, outputs))
        shapes.append([_outside(v.shape) for v in outputs])
    results = []
    for dtype, first, second in zip(types, *shapes, strict=True):
        if len(first) != len(second):
            raise TypeError(f"ops.cond: the branches differ in the number of axes: {len(first)} and {len(second)}")
        results.append((dtype, [a if a is b or a == b else None for a, b in zip(first, second, strict=True)]))
    return fill(trees[0], iter(node("If", [pred], results, {"then_branch": graphs[0], "else_branch": graphs[1]})))


def fori_loop(lower, upper, body_fun, init_val):
    steps = creation.arange(lower, upper, 1, "int32")
    return scan(lambda value, i: (body_fun(i, value), None), init_val, steps)[0]


def vectorized_map(function: Callable, elements: Any) -> Any:
    """Slice after slice: the graph has no batching of functions."""
    return scan(lambda _, x: (None, function(x)), None, elements)[1]


RULES = {
    "scan": scan,
    "while_loop": while_loop,
    "cond": cond,
    "fori_loop": fori_loop,
    "vectorized_map": vectorized_map,
    "stop_gradient": lambda variable: variable,
}
