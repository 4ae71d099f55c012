"""Functional models as JSON data in Keras's form: layers with the nodes that connect them."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

from compat.core.input_layer import InputLayer
from compat.core.keras_tensor import KerasTensor
from compat.core.layer import Layer
from compat.saving.legacy_config import modern
from compat.saving.op_classes import OP_OF_CLASS, class_name, in_call, module_of
from compat.saving.serialization import deserialize_keras_object, serialize_keras_object
from kfun.errors import nearest
from kfun.graph import replace, tensors
from kfun.ops._dispatch import OPS


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
    return [name, number + _own_graph(target), index]


def _own_graph(layer: Any) -> int:
    """1 for a functional model: its own graph counts as its first call in a model's inputs and outputs.

    Between layers calls are counted without it.
    """
    from compat.core.functional import Functional

    return int(isinstance(layer, Functional))


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


def functional_from_config(cls: type, config: dict, custom_objects: dict | None = None) -> Any:
    """The model of a functional config.

    Raises:
        ValueError: if layers are unknown, or connected in a circle.
    """
    from compat.core.functional import Functional
    from compat.core.model import Model

    if any(not isinstance(node, dict) for layer in config["layers"] for node in layer["inbound_nodes"]):
        config = modern({"class_name": "Functional", "config": config})["config"]
    made: dict[str, Any] = {}
    waiting: list[tuple[str, dict]] = []
    for data in config["layers"]:
        name = data["name"]
        made[name] = _made(data, custom_objects)
        for node in data["inbound_nodes"]:
            waiting.append((name, node))
    outputs: dict[tuple[str, int], list] = {}
    counts = dict.fromkeys(made, 0)
    for name, layer in made.items():
        if isinstance(layer, InputLayer):
            outputs[name, 0] = [layer.output]
    while waiting:
        later: list[tuple[str, dict]] = []
        blocked: set[str] = set()
        for name, node in waiting:
            # The calls of one layer keep their order, since they are told apart by number.
            if name in blocked or not _ready(node, outputs):
                blocked.add(name)
                later.append((name, node))
                continue
            outputs[name, counts[name]] = _called(made[name], node, outputs)
            counts[name] += 1
        if len(later) == len(waiting):
            raise ValueError(
                f"the file's layers cannot be connected: {sorted({n for n, _ in later})} wait for each other or for "
                "a layer that is missing"
            )
        waiting = later

    def find(places: Any) -> Any:
        if _is_place(places):
            name, number, index = places
            if name not in made:
                raise ValueError(f"the file names {name!r} as an input or output, but has no such layer")
            number = max(number - _own_graph(made[name]), 0)
            if (name, number) not in outputs or not 0 <= index < len(outputs[name, number]):
                raise ValueError(f"the file's layer {name!r} has no output {index} of call {number}")
            return outputs[name, number][index]
        if isinstance(places, dict):
            return {k: find(v) for k, v in places.items()}
        return type(places)(find(p) for p in places)

    inputs, results = find(config["input_layers"]), find(config["output_layers"])
    if cls in (Functional, Model) or not issubclass(cls, Functional):
        cls = Functional
    model = cls(inputs, results, name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _is_place(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)


class _OpOfFile:
    """An op with the settings that a file gives it."""

    def __init__(self, function: Any, config: dict):
        self.function, self.config = function, config

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        settings = {k: v for k, v in self.config.items() if v is not None}
        parameters = inspect.signature(self.function).parameters
        if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values()):
            before = [settings.pop(name) for name in list(itertools.takewhile(settings.__contains__, parameters))]
            return self.function(*before, *args, **settings, **kwargs)
        called = [name for name in parameters if in_call(self.function.op.name, name)]
        return self.function(**dict(zip(called, args, strict=False)), **settings, **kwargs)


def _made(data: dict, custom_objects: dict | None) -> Any:
    module, config = str(data.get("module") or ""), data.get("config") or {}
    named = module.startswith(("keras.src.ops", "keras.ops"))
    # Files of the older format leave the module out; layers say whether they are trainable, ops do not.
    if not named and (module or "trainable" in config or "dtype" in config or data["class_name"] not in OP_OF_CLASS):
        return deserialize_keras_object(data, custom_objects=custom_objects)
    op = OP_OF_CLASS.get(data["class_name"])
    if op is None:
        raise ValueError(f"the file uses an op {data['class_name']!r}; {nearest(data['class_name'], OP_OF_CLASS)}")
    function = OPS[op].public
    known = inspect.signature(function).parameters
    config = {k: _settings(deserialize_keras_object(v)) for k, v in data["config"].items() if k != "name"}
    unknown = {k: v for k, v in config.items() if k not in known and v not in (None, False)}
    if unknown:
        raise ValueError(f"the file's op {data['class_name']} has settings {unknown}, which are not known here")
    return _OpOfFile(function, {k: v for k, v in config.items() if k in known})


def _settings(value: Any) -> Any:
    return tuple(_settings(v) for v in value) if isinstance(value, list) else value


def _references(value: Any) -> Any:
    """The places of the tensors in a node's data."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield tuple(value["config"]["keras_history"])
        else:
            for item in value.values():
                yield from _references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)


def _ready(node: dict, outputs: dict) -> bool:
    return all((name, number) in outputs for name, number, _ in _references((node["args"], node["kwargs"])))


def _called(layer: Any, node: dict, outputs: dict) -> list:
    def value(data: Any) -> Any:
        if isinstance(data, dict):
            if data.get("class_name") == "__keras_tensor__":
                name, number, index = data["config"]["keras_history"]
                return outputs[name, number][index]
            if "class_name" in data:
                return deserialize_keras_object(data)
            return {k: value(v) for k, v in data.items()}
        if isinstance(data, (list, tuple)):
            return [value(v) for v in data]
        return data

    args = [value(a) for a in node["args"]]
    if isinstance(layer, _OpOfFile) and layer.function.op.name == "getitem":
        args = [args[0], tuple(args[1]) if isinstance(args[1], list) else args[1]]
    kwargs = {k: value(v) for k, v in node["kwargs"].items() if v is not None}
    return list(tensors(layer(*args, **kwargs)))
