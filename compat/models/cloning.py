"""`clone_model`: a model of the same architecture with layers and variables of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat.engine.input_layer import Input, InputLayer
from compat.engine.layer import Layer
from compat.layers import Lambda
from compat.models.functional import Functional
from compat.models.model import Model
from compat.models.sequential import Sequential
from compat.saving import CustomObjectScope
from compat.state.keras_tensor import KerasTensor
from kfun.graph import replace, tensors, walk


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A copy of a model, newly initialized.

    Args:
        model: a functional or Sequential model, or one whose class has `get_config` and `from_config`.
        input_tensors: symbolic tensors to build the copy on; by default new inputs.
        clone_function: `layer -> layer` for each layer but inputs; by default from the layer's config.
        call_function: `(layer, *args, **kwargs) -> outputs` in place of calling the new layer; functional
            models only.
        recursive: whether the functions are also called for the layers of models inside.

    Raises:
        ValueError: if an argument does not go with the kind of model.
    """
    if kwargs:
        raise ValueError(f"clone_model: unknown arguments {sorted(kwargs)}")
    made = _clone(model, input_tensors, clone_function, call_function, recursive)
    if model.compiled:
        made.compile_from_config(model.get_compile_config())
    return made


def _clone(
    model: Any, input_tensors: Any, clone_function: Callable | None, call_function: Callable | None, recursive: bool
) -> Any:
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("clone_model: call_function is for functional models; this one is Sequential")
        return _clone_sequential(model, input_tensors, _cloner(clone_function, recursive))
    if isinstance(model, Functional):
        return _clone_functional(model, input_tensors, _cloner(clone_function, recursive, call_function), call_function)
    for name, value in (("input_tensors", input_tensors), ("clone_function", clone_function),
                        ("call_function", call_function)):  # fmt: skip
        if value is not None:
            raise ValueError(
                f"clone_model: {name} is for functional and Sequential models; {type(model).__name__} is neither"
            )
    return type(model).from_config(model.get_config())


def _cloner(function: Callable | None, recursive: bool, call: Callable | None = None) -> Callable:
    def clone(layer: Layer) -> Layer:
        if isinstance(layer, InputLayer):
            return type(layer).from_config(layer.get_config())
        if recursive and isinstance(layer, (Functional, Sequential)):
            return _clone(layer, None, function, call if isinstance(layer, Functional) else None, True)
        if function is not None:
            made = function(layer)
            if not isinstance(made, Layer):
                raise ValueError(f"clone_function: expected a layer for {layer.name!r}; received {made!r}")
            return made
        with CustomObjectScope({layer.name: layer.function} if isinstance(layer, Lambda) else {}):
            return type(layer).from_config(layer.get_config())

    return clone


def _clone_sequential(model: Sequential, input_tensors: Any, clone: Callable) -> Sequential:
    layers = [clone(layer) for layer in model._kf_layers if not isinstance(layer, InputLayer)]
    if input_tensors is not None:
        given = list(tensors(input_tensors))
        if len(given) != 1:
            raise ValueError(f"clone_model: a Sequential model takes one input tensor; received {input_tensors!r}")
        first = given[0]
        inputs = [first if _is_input(first) else Input(batch_shape=first.shape, dtype=first.dtype, name=first.name)]
    else:
        inputs = [clone(layer) for layer in model._kf_layers[:1] if isinstance(layer, InputLayer)]
    return Sequential([*inputs, *layers], name=model.name, trainable=model.trainable)


def _is_input(tensor: Any) -> bool:
    return tensor.node is not None and isinstance(tensor.node.target, InputLayer)


def _clone_functional(model: Functional, input_tensors: Any, clone: Callable, call: Callable | None) -> Any:
    structure = model._kf_inputs
    if input_tensors is None:
        flat = [_new_input(t) for t in model.inputs]
    else:
        if isinstance(structure, dict) or isinstance(input_tensors, dict):
            input_tensors = _in_order(structure, input_tensors)
        flat = list(tensors(input_tensors))
        if len(flat) != len(model.inputs):
            raise ValueError(f"clone_model: expected {len(model.inputs)} input tensors; received {len(flat)}")
    made: dict[int, Layer] = {}

    def run(step: Any, args: tuple, kwargs: dict) -> Any:
        target = step.node.target
        if isinstance(target, Layer):
            if id(target) not in made:
                made[id(target)] = clone(target)
            target = made[id(target)]
        return target(*args, **kwargs) if call is None else call(target, *args, **kwargs)

    outputs = walk(model._kf_steps, model._kf_refs, flat, run)
    given = iter(flat)
    inputs = replace(structure, lambda _: next(given), KerasTensor)
    cls = type(model) if type(model).__init__ in (Functional.__init__, Model.__init__) else Functional
    return cls(inputs, outputs, name=model.name, trainable=None if model.trainable else False)


def _in_order(structure: Any, given: Any) -> Any:
    """Input tensors in a dict, in the order of the model's."""
    if not isinstance(structure, dict) or not isinstance(given, dict) or sorted(structure) != sorted(given):
        shown = [list(s) if isinstance(s, dict) else f"a {type(s).__name__}" for s in (structure, given)]
        raise ValueError(
            "clone_model: the structure of `input_tensors` is not that of the model's inputs; "
            f"expected {shown[0]}, received {shown[1]}"
        )
    return {key: given[key] for key in structure}


def _new_input(tensor: Any) -> Any:
    if _is_input(tensor):
        return InputLayer.from_config(tensor.node.target.get_config()).output
    return Input(batch_shape=tensor.shape, dtype=tensor.dtype)
