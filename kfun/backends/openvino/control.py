"""Loops and branches on OpenVINO. What a body uses of the graph around it becomes its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset16 as o

from kfun.backends.common.tree import fill, leaves
from kfun.backends.graphs.graph_rules import alike, pairs_of_branches, scan_length
from kfun.backends.openvino import creation, elementwise, shaping
from kfun.backends.openvino.promotion import truth
from kfun.backends.openvino.value import Body, Value, as_value, constant, here, integers, output_of, promoted


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """OpenVINO's Loop runs one step at a time, so `unroll` changes nothing.

    A step gathers its slices by its number: with the Loop's own slicing the CPU plugin (2026.4)
    computes in the slice's memory and overwrites the carry where sizes are static.
    """
    carry, sequences = [as_value(v) for v in leaves(init)], [as_value(x) for x in leaves(xs)]
    size = scan_length(sequences, length)
    loop = _Loop(size, carry)
    with loop.body:
        number = loop.number
        at = elementwise.RULES["subtract"](as_value(size, "int64") - 1, number) if reverse else number
        items = [Value(o.gather(loop.body.lift(x).output, at.output, integers(0))) for x in sequences]
        new, ys = f(fill(init, iter(loop.carried)), fill(xs, iter(items)))
        out = alike("ops.scan: the carry", init, carry, new, as_value)
        stacked = [shaping.expand_dims(as_value(y), 0) for y in leaves(ys)]
        loop.close(constant(True), [*out, *stacked])
    if isinstance(size, int) and size == 0:  # OpenVINO refuses a loop that is known to have no steps
        none = [creation.zeros([0, *(n if isinstance(n, int) else 0 for n in y.shape[1:])], y.dtype) for y in stacked]
        return fill(init, iter(carry)), fill(ys, iter(none))
    last, joined = loop.results(constant(True))
    joined = [shaping.flip(y, 0) for y in joined] if reverse else joined
    return fill(init, iter(last)), fill(ys, iter(joined))


class _Loop:
    """OpenVINO's Loop: at most `size` steps (-1: no limit), while a flag of the body holds."""

    def __init__(self, size: Any, carry: Sequence[Value]):
        self.size, self.carry, self.body = size, carry, Body()
        self.number = self.body.parameter("int64", ov.PartialShape([]))
        self.carried = [self.body.parameter(v.dtype, v.output.get_partial_shape()) for v in carry]

    def close(self, going: Value, values: Sequence[Value]) -> None:
        """Ends the body: the flag, the next carry, then what each step adds to stacked results."""
        self.nodes = [o.result(v.output) for v in (going, *values)]
        for inner, node in self.body.inputs:
            if inner is not self.number and _aliased(node.output(0)):
                _copy(node.output(0), self.number.output)
        self.model = ov.Model(self.nodes, [node for _, node in self.body.inputs], "body")

    def results(self, going: Value) -> tuple[list[Value], list[Value]]:
        """The last carry and the stacked results, given whether to begin."""
        loop, body = o.loop(output_of(self.size, "int64"), here(going).output), self.body
        loop.set_function(self.model)
        loop.set_special_body_ports([0, 0])
        for value, inner, node in zip(self.carry, self.carried, self.nodes[1:], strict=False):
            loop.set_merged_input(body.node_of(inner), here(value).output, node.output(0))
        for outer, inner in body.captures.values():
            loop.set_invariant_input(body.node_of(inner), here(outer).output)
        last = [Value(loop.get_iter_value(n.output(0), -1)) for n in self.nodes[1 : 1 + len(self.carry)]]
        stacks = self.nodes[1 + len(self.carry) :]
        return last, [Value(loop.get_concatenated_slices(n.output(0), 0, 1, 1, -1, 0)) for n in stacks]


# The CPU plugin (2026.4) lets an op write its result over an input of the body that it sees
# through a view, and copies results to the next step's inputs one after the other: an input that
# a result aliases would change too early. Such inputs are read through a copy.
_VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice", "StridedSlice", "Split", "VariadicSplit", "Gather"}
_READERS = {"ShapeOf", "MatMul", "Convolution", "GroupConvolution", "LSTMSequence", "GRUSequence", "Loop", "If"}


def _aliased(output: ov.Output, through_view: bool = False) -> bool:
    for target in output.get_target_inputs():
        node = target.get_node()
        kind = node.get_type_name()
        if kind == "Gather" and node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        if kind == "Result" or (through_view and kind not in _READERS | _VIEWS):
            return True
        if kind in _VIEWS and any(_aliased(out, True) for out in node.outputs()):
            return True
    return False


def _copy(output: ov.Output, number: ov.Output) -> None:
    """Puts a copy between an input and its users: a gather, which cannot work in place as its index is not constant."""
    targets = output.get_target_inputs()
    first = o.minimum(number, integers(0))
    copied = o.gather(o.unsqueeze(output, integers([0])), first, integers(0)).output(0)
    for target in targets:
        target.replace_source_output(copied)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state = (loop_vars,) if single else loop_vars
    carry = [as_value(v) for v in leaves(state)]
    going = _flag(cond(*fill(state, iter(carry))))
    if _never(going):
        return carry[0] if single else fill(state, iter(carry))
    loop = _Loop(-1 if maximum_iterations is None else maximum_iterations, carry)
    with loop.body:
        new = body(*fill(state, iter(loop.carried)))
        new = (new,) if single else type(state)(new)
        out = alike("ops.while_loop: the state", state, carry, new, as_value)
        loop.close(_flag(cond(*fill(state, iter(out)))), out)
    last = fill(state, iter(loop.results(going)[0]))
    return last[0] if single else last


def _never(flag: Value) -> bool:
    """Whether a flag depends on no input of the graph and is False: Loop's shape rules fail then."""
    nodes, seen = [flag.output.get_node()], set()
    while nodes:
        node = nodes.pop()
        if node.get_type_name() == "Parameter":
            return False
        sources = [v.get_node() for v in node.input_values()]
        nodes.extend(n for n in sources if n.get_friendly_name() not in seen)
        seen.update(n.get_friendly_name() for n in sources)
    compiled = ov.Core().compile_model(ov.Model([o.result(flag.output)], []), "CPU")
    return not compiled([])[0]


def _flag(x: Any) -> Value:
    flag = truth(x)
    return flag if flag.ndim == 0 else shaping.reshape(flag, ())


def cond(pred, true_fn, false_fn):
    known = pred.constant if isinstance(pred, Value) else pred
    if isinstance(known, (bool, int, float, np.generic, np.ndarray)):
        return true_fn() if np.asarray(known).item() else false_fn()
    bodies, trees = (Body(), Body()), []
    for body, function in zip(bodies, (true_fn, false_fn), strict=True):
        with body:
            trees.append(function())
    models, kept = [], [[], []]
    pairs = pairs_of_branches(*trees)
    types = [promoted(*pair) for pair in pairs]
    for i, body in enumerate(bodies):
        with body:
            outputs = [as_value(pair[i], dtype).output for pair, dtype in zip(pairs, types, strict=True)]
            model, results = body.model(outputs)
            models.append(model)
            kept[i] = results
    node = o.if_op(_flag(pred).output)
    node.set_then_body(models[0])
    node.set_else_body(models[1])
    for key in {**bodies[0].captures, **bodies[1].captures}:
        outer = (bodies[0].captures.get(key) or bodies[1].captures[key])[0]
        inputs = [b.node_of(b.captures[key][1]) if key in b.captures else None for b in bodies]
        node.set_input(here(outer).output, *inputs)
    outputs = [Value(node.set_output(*pair)) for pair in zip(*kept, strict=True)]
    return fill(trees[0], iter(outputs))


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
