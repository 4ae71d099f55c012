"""Functional models as JSON data in Keras's form: layers with the nodes that connect them."""

from __future__ import annotations

import inspect
from typing import Any

from compat.engine.input_layer import InputLayer
from compat.engine.layer import Layer
from compat.serialization.objects import serialize_keras_object
from compat.serialization.op_classes import class_name, in_call, module_of
from compat.state.keras_tensor import KerasTensor
from kfun.graph import replace


def functional_config(model: Any) -> dict:
    """The config of a functional model: its layers, their calls, inputs and outputs."""
    names = _op_names(model)
    places: dict[int, tuple[str, int]] = {}  # node -> (name of its layer, number of the call)
    calls: dict[int, list[Any]] = {}
    inside = {id(step.node) for step in model._kf_steps}
    for operation in model._kf_operations:
        if not isinstance(operation, Layer):
            continue
        kept = 0
        for node in operation._kf.nodes:
            if id(node) in inside or isinstance(operation, InputLayer):
                places[id(node)] = (operation.name, kept)
                calls.setdefault(id(operation), []).append(node)
                kept += 1
    for node_id, name in names.items():
        places[node_id] = (name, 0)
    inputs = {id(t): layer for t, layer in zip(model.inputs, _input_layers(model), strict=True)}
    layers = []
    for operation, node in _operations(model):
        if node is None:
            data = serialize_keras_object(operation)
            own = calls.get(id(operation), [])
        else:
            data, own = _op_config(node, names[id(node)]), [node]
        data["name"] = operation.name if node is None else names[id(node)]
        data["inbound_nodes"] = [
            _node(n, places, inputs, node is not None) for n in own if not isinstance(n.target, InputLayer)
        ]
        layers.append(data)
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": replace(model._kf_inputs, lambda t: [inputs[id(t)].name, 0, 0], KerasTensor),
        "output_layers": replace(model._kf_outputs, lambda t: _end(t, places, inputs), KerasTensor),
    }


def _end(tensor: Any, places: dict, inputs: dict) -> list:
    """The place of an output of the model."""
    name, number, index = _place(tensor, places, inputs)
    target = None if id(tensor) in inputs else tensor.node.target
    return [name, number + own_graph(target), index]


def own_graph(layer: Any) -> int:
    """1 for a functional model: its own graph counts as its first call in a model's inputs and outputs.

    Between layers calls are counted without it.
    """
    return int(hasattr(layer, "_kf_steps"))


def _operations(model: Any) -> Any:
    """`(layer, None)` or `(op, node)` in the model's order."""
    nodes = [s.node for s in model._kf_steps if not isinstance(s.node.target, Layer)]
    order = {id(op): i for i, op in enumerate(model._kf_operations)}
    waiting = iter(sorted(nodes, key=lambda n: order.get(id(n.target), 0)))
    for operation in model._kf_operations:
        yield (operation, None) if isinstance(operation, Layer) else (operation, next(waiting))


def _input_layers(model: Any) -> list[Any]:
    known = [layer for layer in model.layers if isinstance(layer, InputLayer)]
    found = []
    for t in model.inputs:
        own = t.node.target if t.node is not None and isinstance(t.node.target, InputLayer) else None
        if own is None:
            own = next(k for k in known if not k._kf.nodes[0].outputs.node.inputs and k not in found)
        found.append(own)
    return found


def _op_names(model: Any) -> dict[int, str]:
    taken = {layer.name for layer in model.layers}
    names: dict[int, str] = {}
    for step in model._kf_steps:
        if isinstance(step.node.target, Layer):
            continue
        base = {"getitem": "get_item", "abs": "absolute"}.get(step.node.target.op.name, step.node.target.op.name)
        name, n = base, 0
        while name in taken:
            n += 1
            name = f"{base}_{n}"
        taken.add(name)
        names[id(step.node)] = name
    return names


def _place(tensor: Any, places: dict, inputs: dict) -> list:
    if id(tensor) in inputs:
        return [inputs[id(tensor)].name, 0, 0]
    name, number = places[id(tensor.node)]
    return [name, number, tensor.index]


def _node(node: Any, places: dict, inputs: dict, is_op: bool) -> dict:
    def tensor(t: Any) -> _Raw:
        config = {"shape": t.shape, "dtype": t.dtype, "keras_history": _place(t, places, inputs)}
        return _Raw({"class_name": "__keras_tensor__", "config": config})

    args, kwargs = _op_arguments(node)[0] if is_op else (node.args, node.kwargs)
    args, kwargs = replace((args, kwargs), tensor, KerasTensor)
    return {"args": _data(args), "kwargs": _data(kwargs)}


class _Raw:
    """JSON data that is complete already."""

    def __init__(self, data: dict):
        self.data = data


def _data(value: Any) -> Any:
    if isinstance(value, _Raw):
        return value.data
    if isinstance(value, dict):
        return {k: _data(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_data(v) for v in value]
    return serialize_keras_object(value)


def _op_arguments(node: Any) -> tuple[tuple[list, dict], dict]:
    """`((args, kwargs) of the call, config)`: Keras keeps arrays in the call and settings in the config."""
    op = node.target.op.name
    bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    call, config = [], {}
    for name, value in bound.arguments.items():
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            call += list(value)
        elif in_call(op, name):
            call.append(value)
        else:
            config[name] = value
    while call and call[-1] is None:
        call.pop()
    return (call, {}), config


def _op_config(node: Any, name: str) -> dict:
    op = node.target.op.name
    _, config = _op_arguments(node)
    cls = class_name(op)
    return {
        "module": module_of(op), "class_name": cls, "config": {"name": name, **_data(config)}, "registered_name": cls,
    }  # fmt: skip
