"""Collects the nodes that results need into graphs, and names them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from kfun.backends.onnx.value import OPSET, Body, Value, Within, emit


def model_of(
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    names: Sequence[str],
    name: str = "kfun",
    metadata: Mapping[str, str] | None = None,
) -> ir.Model:
    """A model of the graph between its inputs and its outputs.

    Args:
        names: of the outputs.
        name: of the graph.
        metadata: stored with the model.
    """
    results = _results(None, inputs, outputs)
    for result, given in zip(results, names, strict=True):
        result.name = given
    nodes, free = _collected(None, results)
    taken = [x.output for x in inputs]
    strangers = [v for v in free if v.const_value is None and not any(v is t for t in taken)]
    if strangers:
        raise ValueError(f"the results need {strangers[0].name!r}, which is no input of this graph")
    constants = [v for v in free if v.const_value is not None]
    _name(nodes, constants, (*taken, *results))
    graph = ir.Graph(taken, results, nodes=nodes, initializers=constants, opset_imports={"": OPSET}, name=name)
    return ir.Model(graph, ir_version=10, producer_name="kfun", metadata_props=dict(metadata or {}))


def subgraph(body: Body, outputs: Sequence[Value]) -> ir.Graph:
    """The graph of a loop's or a branch's inside."""
    results = _results(body, body.inputs, outputs)
    nodes, free = _collected(body, results)
    graph = ir.Graph([x.output for x in body.inputs], results, nodes=nodes, name="body")
    graph.meta["free"] = [v for v in free if not any(v is x.output for x in body.inputs)]
    return graph


def _results(body: Body | None, inputs: Sequence[Value], outputs: Sequence[Value]) -> list[ir.Value]:
    """The outputs of a graph: different values, made by nodes of it."""
    seen = {id(x.output) for x in inputs}
    results = []
    for x in outputs:
        if x.constant is not None or x.body is not body or id(x.output) in seen:
            with Within(body):
                x = emit("Identity", x)
        seen.add(id(x.output))
        results.append(x.output)
    return results


def _collected(body: Body | None, results: Sequence[ir.Value]) -> tuple[list[ir.Node], list[ir.Value]]:
    """The nodes of a body that results need, each after those that it needs, and the values from outside."""
    order: dict[ir.Node, None] = {}
    free: dict[ir.Value, None] = {}
    work: list[tuple[ir.Node, Iterator[ir.Value]]] = []

    def visit(value: ir.Value) -> None:
        node = value.producer()
        if node is None or node.meta["body"] is not body:
            free[value] = None
        elif node not in order and node not in pending:
            pending.add(node)
            work.append((node, iter(_needs(node))))

    pending: set[ir.Node] = set()
    for result in results:
        visit(result)
        while work:  # no recursion: deep networks are deeper than Python's stack
            found = next(work[-1][1], None)
            if found is not None:
                visit(found)
            else:
                order[work.pop()[0]] = None
    return list(order), list(free)


def _needs(node: ir.Node) -> list[ir.Value]:
    inside = [v for graph in _graphs(node) for v in graph.meta["free"]]
    return [v for v in (*node.inputs, *inside) if v is not None]


def _graphs(node: ir.Node) -> list[Any]:
    return [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]


def _fresh_names(taken: set[str | None]) -> Callable[[str], str]:
    """A function that numbers what it is given, and gives no name that is taken."""
    counts: collections.Counter[str] = collections.Counter()

    def fresh(stem: str) -> str:
        while True:
            counts[stem] += 1
            name = f"{stem}_{counts[stem]}"
            if name not in taken:
                return name

    return fresh


def _name(nodes: Sequence[ir.Node], constants: Sequence[ir.Value], named: Sequence[ir.Value]) -> None:
    """Names that are unique within the model, bodies included, for all but the values that have theirs."""
    taken, kept = {v.name for v in named}, set(named)
    fresh = _fresh_names(taken)
    for value in constants:
        value.name = value.name if value.name and value.name not in taken else fresh(value.name or "constant")
        value.const_value.name = value.name
        taken.add(value.name)
    work = [nodes]
    while work:
        for node in work.pop():
            node.name = fresh(node.op_type)
            for output in node.outputs:
                if output not in kept:
                    output.name = fresh(node.op_type.lower())
            for graph in _graphs(node):
                graph.name = fresh("body")
                for value in graph.inputs:
                    value.name = fresh("input")
                work.append(list(graph))
