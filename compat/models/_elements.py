"""A model's layers and ops as a list of what a table or a picture shows: names, types, shapes, sources."""

from __future__ import annotations

from typing import Any

from compat.engine.input_layer import InputLayer
from compat.engine.layer import Layer
from compat.models.functional_config import _op_names
from compat.serialization.op_classes import class_name
from compat.state.keras_tensor import KerasTensor
from kfun.graph import replace, tensors


class Element:
    """One layer of a model, or one op of its graph.

    Args:
        target: the layer, or the op's function.
        name: under which it is shown.
        kind: the name of its class.
        nodes: its calls in the graph of the model; none without a graph.
    """

    def __init__(self, target: Any, name: str, kind: str, nodes: list[Any]):
        self.target, self.name, self.kind, self.nodes = target, name, kind, nodes

    @property
    def layer(self) -> Any:
        """The layer, None for an op."""
        return self.target if isinstance(self.target, Layer) else None

    @property
    def calls(self) -> list[Any]:
        """All calls on symbolic tensors, those in other models too."""
        return self.nodes if self.layer is None else self.target._kf.nodes

    def number_of(self, node: Any) -> int:
        """The place of one of its nodes among all calls."""
        return next((i for i, call in enumerate(self.calls) if call is node), 0)

    @property
    def inner(self) -> Any:
        """The model that it is, None for a plain layer or an op."""
        return self.target if hasattr(self.target, "layers") and self.layer is not None else None


def graph_of(model: Any) -> Any:
    """The `Functional` behind a model, None if it has no graph."""
    graph = model.__dict__.get("_kf_graph", model)
    return graph if "_kf_steps" in getattr(graph, "__dict__", {}) else None


def elements(model: Any, inputs: bool = False) -> list[Element]:
    """Layers and ops in Keras's order.

    Args:
        model: any model; one without a graph has its layers only.
        inputs: whether a Sequential's input layer counts.
    """
    graph = graph_of(model)
    if graph is None:
        return [Element(layer, layer.name, type(layer).__name__, []) for layer in model.layers]
    inside = {id(step.node) for step in graph._kf_steps}
    names = _op_names(graph)
    waiting: dict[int, list[Any]] = {}
    for step in graph._kf_steps:
        if not isinstance(step.node.target, Layer):
            waiting.setdefault(id(step.node.target), []).append(step.node)
    found = []
    for target in graph._kf_operations:
        if isinstance(target, InputLayer):
            if graph is model or inputs:
                found.append(Element(target, target.name, type(target).__name__, list(target._kf.nodes)))
        elif isinstance(target, Layer):
            nodes = [node for node in target._kf.nodes if id(node) in inside]
            found.append(Element(target, target.name, type(target).__name__, nodes))
        else:
            node = waiting[id(target)].pop(0)
            found.append(Element(target, names[id(node)], class_name(target.op.name), [node]))
    return found


def is_chain(model: Any) -> bool:
    """Whether each layer takes the one output before it: then where inputs come from goes without saying."""
    graph = graph_of(model)
    if graph is None or graph is not model:
        return True
    taken = [id(tensor.node) for step in graph._kf_steps for tensor in step.node.inputs]
    several = any(len(step.node.inputs) > 1 for step in graph._kf_steps)
    targets = [id(s.node.target) for s in graph._kf_steps if isinstance(s.node.target, Layer)]
    shared = len(set(targets)) < len(targets)
    return not several and not shared and len(model.inputs) == 1 and len(set(taken)) == len(taken)


def owners(found: list[Element]) -> dict[int, tuple[Element, int]]:
    """`{id of a node: (its element, the number of the call)}`."""
    return {id(node): (element, element.number_of(node)) for element in found for node in element.nodes}


def output_shapes(element: Element) -> Any:
    """The shape of the outputs: a tuple, a list of several, None if not known."""
    if element.calls:
        shapes = [t.shape for t in tensors(element.calls[-1].outputs)]
        return shapes[0] if len(shapes) == 1 else shapes
    return _eager_shapes(element.layer)


def _eager_shapes(layer: Any) -> Any:
    """The shapes that a layer gives for those that it was built for; None if it was not, or has no rule."""
    graph = graph_of(layer)
    if graph is not None:
        return replace(graph._kf_outputs, lambda t: t.shape, KerasTensor)
    shapes = layer._kf.build_shapes
    if not layer.built or not shapes:
        return None
    try:
        return layer.compute_output_shape(*shapes.values())
    except Exception:  # a user's layer may compute in ways that no abstract run follows: the table says "?"
        return None


def input_shapes(element: Element) -> Any:
    """The shape of the inputs: a tuple, a list of several, None if not known."""
    if element.calls:
        taken = element.calls[-1].inputs or list(tensors(element.calls[-1].outputs))
        shapes = [t.shape for t in taken]
        return shapes[0] if len(shapes) == 1 else shapes
    shapes = element.layer._kf.build_shapes
    if not shapes:
        return None
    return next(iter(shapes.values())) if len(shapes) == 1 else list(shapes.values())
