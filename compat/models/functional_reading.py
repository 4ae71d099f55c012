"""Functional models of JSON data in Keras's form.

Data give layers and recorded ops, and calls of them on symbolic tensors: nothing is computed while they are read.
"""

from __future__ import annotations

import heapq
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

from compat.engine.input_layer import InputLayer
from compat.models.functional_config import own_graph
from compat.models.op_sizes import check_input, check_sizes
from compat.serialization.legacy_config import modern
from compat.serialization.objects import deserialize_as, deserialize_keras_object
from compat.serialization.op_classes import OP_OF_CLASS, in_call
from compat.serialization.parts import part
from compat.serialization.registry import CustomObjectScope, get_registered_object, reading
from kfun.errors import nearest
from kfun.graph import tensors
from kfun.ops._dispatch import OPS

Place = tuple[str, int]  # a layer's name and the number of a call of it


def functional_from_config(cls: type, config: dict, custom_objects: dict | None = None) -> Any:
    """The model of a functional config.

    Args:
        cls: `Functional` or a subclass of it.
        config: what `get_config` of such a model gave.
        custom_objects: classes and functions by name.

    Raises:
        ValueError: if layers are unknown, have one name, or are connected in a circle, or what stands for a layer is
            none.
    """
    with CustomObjectScope(custom_objects), reading():
        if any(not isinstance(node, dict) for data in config["layers"] for node in data["inbound_nodes"]):
            config = modern({"class_name": "Functional", "config": config})["config"]
        made, calls = _layers(config["layers"])
        outputs = _connected(made, calls)
    inputs = _found(config["input_layers"], made, outputs)
    results = _found(config["output_layers"], made, outputs)
    model = cls(inputs, results, name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _layers(entries: list[dict]) -> tuple[dict[str, Any], list[tuple[str, dict]]]:
    """The layers and ops by name, and their calls as `(name, data)`."""
    made: dict[str, Any] = {}
    calls = []
    for data in entries:
        name = data["name"]
        if not isinstance(name, str) or name in made:
            raise ValueError(f"the file's layers must have names of their own; received {name!r:.80} again")
        with part(f"the file's layer {name!r}"):
            made[name] = _made(data)
        calls += [(name, node) for node in data["inbound_nodes"]]
    return made, calls


def _made(data: dict) -> Any:
    return _op(data) if _names_op(data) else deserialize_as("operation", data)


def _names_op(data: dict) -> bool:
    """Whether data of a layer or op are those of an op.

    Files of the older format leave the module out, and ten names are those of both: a layer says whether it is
    trainable, an op has no such setting.
    """
    module, name = str(data.get("module") or ""), data["class_name"]
    if module:
        return module.startswith(("keras.src.ops", "keras.ops"))
    return name in OP_OF_CLASS and "trainable" not in (data.get("config") or {}) and get_registered_object(name) is None


class _OpOfFile:
    """An op with the settings that a file gives it."""

    def __init__(self, function: Any, config: dict):
        self.function, self.config = function, config

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        settings = {k: v for k, v in self.config.items() if v is not None}
        parameters = inspect.signature(self.function).parameters
        check_sizes(self.function.op.name, settings | kwargs, args)
        if self.function.op.name == "getitem":
            args = (args[0], tuple(args[1]) if isinstance(args[1], list) else args[1])
        if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values()):
            before = [settings.pop(name) for name in list(itertools.takewhile(settings.__contains__, parameters))]
            return self.function(*before, *args, **settings, **kwargs)
        called = [name for name in parameters if in_call(self.function.op.name, name)]
        if len(args) > len(called):  # one of which may be all that makes a call symbolic
            raise ValueError(f"{self.function.op.name} takes {', '.join(called)}; received {len(args)} arguments")
        return self.function(**dict(zip(called, args, strict=False)), **settings, **kwargs)


def _op(data: dict) -> _OpOfFile:
    op = OP_OF_CLASS.get(data["class_name"])
    if op is None:
        raise ValueError(f"the file uses an op {data['class_name']!r}; {nearest(data['class_name'], OP_OF_CLASS)}")
    function = OPS[op].public
    known = inspect.signature(function).parameters
    config = {k: _setting(k, v) for k, v in data["config"].items() if k != "name"}
    unknown = {k: v for k, v in config.items() if k not in known and v not in (None, False)}
    if unknown:
        raise ValueError(f"the file's op {data['class_name']} has settings {unknown}, which are not known here")
    return _OpOfFile(function, {k: v for k, v in config.items() if k in known})


def _setting(name: str, data: Any) -> Any:
    """A setting of an op: lists become tuples; files of the older format have a function's name alone."""
    if name == "function" and isinstance(data, str):
        data = {"module": "builtins", "class_name": "function", "config": data, "registered_name": "function"}
    return _tuples(deserialize_keras_object(data))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _connected(made: dict[str, Any], calls: list[tuple[str, dict]]) -> dict[Place, list]:
    """Makes the calls, each when the calls before it of its layer and those that it takes from were made.

    Of those that could be next the first of the file is, so that a file in order is read in order, and one in any
    other in time that grows with its length.
    """
    outputs: dict[Place, list] = {(n, 0): [v.output] for n, v in made.items() if isinstance(v, InputLayer)}
    for (given,) in outputs.values():
        check_input(given)
    places, needed = _needs(calls, outputs)
    waiting: dict[Place, list[int]] = {}
    for i, others in enumerate(needed):
        for other in others:
            waiting.setdefault(other, []).append(i)
    missing = list(map(len, needed))  # how many calls each waits for
    ready = [i for i, n in enumerate(missing) if n == 0]
    while ready:
        i = heapq.heappop(ready)
        name, node = calls[i]
        with part(f"the file's layer {name!r}"):
            outputs[places[i]] = _called(made[name], node, outputs)
        for later in waiting.pop(places[i], ()):
            missing[later] -= 1
            if missing[later] == 0:
                heapq.heappush(ready, later)
    if waiting:
        late = sorted({places[i][0] for later in waiting.values() for i in later})
        raise ValueError(
            f"the file's layers cannot be connected: {late[:8]} wait for each other or for a layer that is missing"
        )
    return outputs


def _needs(calls: list[tuple[str, dict]], known: dict[Place, list]) -> tuple[list[Place], list[set[Place]]]:
    """The place of each call, and the places of the calls that must be made before it, without those `known`."""
    counts: dict[str, int] = {}
    places, needed = [], []
    for name, node in calls:
        place = name, counts.get(name, 0)
        if place in known:
            raise ValueError(f"the file's input {name!r} is called like a layer")
        others = {(n, number) for n, number, _ in _references(node)}
        if not others:
            raise ValueError(
                f"the file's layer {name!r} is called on no output of another: nothing of a file is computed"
            )
        if place[1]:
            others.add((name, place[1] - 1))
        counts[name] = place[1] + 1
        places.append(place)
        needed.append(others - known.keys())
    return places, needed


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """The places of the tensors in a node's data."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            place = value["config"]["keras_history"]
            if not _is_place(place):
                raise ValueError(f"expected a layer's name, a call's number and an output's; received {place!r:.80}")
            yield tuple(place)
        else:
            for item in value.values():
                yield from _references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)


def _called(layer: Any, node: dict, outputs: dict[Place, list]) -> list:
    def value(data: Any) -> Any:
        if isinstance(data, dict):
            if data.get("class_name") == "__keras_tensor__":
                name, number, index = data["config"]["keras_history"]
                return _output(outputs[name, number], index, name)
            if "class_name" in data:
                return deserialize_keras_object(data)
            return {k: value(v) for k, v in data.items()}
        if isinstance(data, (list, tuple)):
            return [value(v) for v in data]
        return data

    args = [value(a) for a in node["args"]]
    kwargs = {k: value(v) for k, v in node["kwargs"].items() if v is not None}
    return list(tensors(layer(*args, **kwargs)))


def _output(given: list, index: int, name: str) -> Any:
    if not 0 <= index < len(given):
        raise ValueError(f"the file's layer {name!r} has no output {index}")
    return given[index]


def _found(places: Any, made: dict[str, Any], outputs: dict[Place, list]) -> Any:
    """The symbolic tensors of places, in their structure."""
    if _is_place(places):
        name, number, index = places
        if name not in made:
            raise ValueError(f"the file names {name!r} as an input or output, but has no such layer")
        number = max(number - own_graph(made[name]), 0)
        if (name, number) not in outputs:
            raise ValueError(f"the file's layer {name!r} has no call {number}")
        return _output(outputs[name, number], index, name)
    if isinstance(places, dict):
        return {k: _found(v, made, outputs) for k, v in places.items()}
    if not isinstance(places, (list, tuple)):
        raise ValueError(f"expected the places of the model's inputs and outputs; received {places!r:.80}")
    return type(places)(_found(p, made, outputs) for p in places)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)
        and all(type(v) is int for v in value[1:])
    )  # fmt: skip
