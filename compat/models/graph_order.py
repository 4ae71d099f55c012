"""The order in which Keras lists the layers and ops of a graph."""

from __future__ import annotations

from typing import Any

from compat.engine.input_layer import InputLayer
from compat.engine.layer import Layer


def ordered(inputs: list, outputs: list, nodes: list) -> list:
    """Layers and ops by falling distance from the outputs, as Keras orders them.

    Ties go by the order in which a walk from the outputs first meets them.

    Args:
        inputs, outputs: symbolic tensors.
        nodes: those between them.
    """
    known = {id(node) for node in nodes}
    sources = {id(t.node) for t in inputs if _is_input(t)}
    first_met: dict[int, int] = {}
    walked = _walked([t.node for t in outputs], known, sources, first_met)
    targets, depths = _depths(reversed(walked), known)
    for t in inputs:
        if not _is_input(t):  # a tensor of another graph: the model begins with an input of its own there
            made = InputLayer(batch_shape=t.shape, dtype=t.dtype)
            key, depth = id(made), max(depths.values(), default=0) + 1
        elif _key(t.node) not in depths:  # an input that no output needs
            made, key, depth = t.node.target, _key(t.node), 0
        else:
            continue
        targets[key], depths[key], first_met[key] = made, depth, -1
    return [targets[k] for k in sorted(depths, key=lambda k: (-depths[k], first_met[k]))]


def _is_input(tensor: Any) -> bool:
    return tensor.node is not None and isinstance(tensor.node.target, InputLayer)


def _walked(ends: list, known: set[int], sources: set[int], first_met: dict[int, int]) -> list[Any]:
    """The nodes before `ends`, each after those that it takes from; notes in which order they are met.

    A stack of its own in place of recursion: graphs are deeper than Python's limit.
    """
    found: list[Any] = []
    done: set[int] = set()
    stack = [(node, False) for node in reversed(ends)]
    while stack:
        node, expanded = stack.pop()
        if node is None or id(node) in done or (id(node) not in known and id(node) not in sources):
            continue
        if expanded:
            done.add(id(node))
            found.append(node)
            continue
        first_met.setdefault(_key(node), len(first_met))
        stack.append((node, True))
        if id(node) in known:
            stack += [(t.node, False) for t in reversed(node.inputs)]
    return found


def _depths(nodes: Any, known: set[int]) -> tuple[dict[int, Any], dict[int, int]]:
    """Each layer and op by its key, and its largest distance from the outputs."""
    targets: dict[int, Any] = {}
    of_target: dict[int, int] = {}
    of_node: dict[int, int] = {}
    for node in nodes:
        key = _key(node)
        depth = max(of_node.get(id(node), 0), of_target.get(key, 0))
        targets[key], of_target[key], of_node[id(node)] = node.target, depth, depth
        for t in node.inputs if id(node) in known else ():
            if t.node is not None:
                of_node[id(t.node)] = max(depth + 1, of_node.get(id(t.node), 0))
    return targets, of_target


def _key(node: Any) -> int:
    """Layers count once, however often they are called; each call of an op is its own."""
    return id(node.target) if isinstance(node.target, Layer) else id(node)
