"""The older `.h5` format: whole models and weight files of Keras 2 and 3, a group of named arrays for each layer."""

from __future__ import annotations

import itertools
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import h5py
import numpy as np

from compat.saving import stores
from compat.saving.archives import parse
from compat.saving.hdf5 import Group, opened
from compat.serialization.legacy_config import modern, modern_training
from compat.serialization.models import model_of
from compat.serialization.objects import serialize_keras_object
from compat.serialization.parts import part
from compat.serialization.registry import CustomObjectScope
from compat.state.settings import KERAS_VERSION
from kfun.atomic import atomic_file

_HEADER = 64512  # bytes that a list of names may have in one attribute
_TOP = "top_level_model_weights"
_TRAINING = ("loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile")


def save_model(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes architecture, weights and training state in the layout of Keras's `.h5` files."""
    config = serialize_keras_object(model)
    with atomic_file(path) as target, h5py.File(target, "w") as file:
        _describe(file)
        file.attrs["model_config"] = json.dumps({"class_name": config["class_name"], "config": config["config"]})
        _write_weights(file.create_group("model_weights"), model)
        compiled = config.get("compile_config")
        if compiled and include_optimizer:
            training = {k: compiled[k] for k in _TRAINING if k in compiled}
            training["optimizer_config"] = {k: compiled["optimizer"][k] for k in ("class_name", "config")}
            file.attrs["training_config"] = json.dumps(training)
            if model.optimizer.built:
                _write_arrays(file.create_group("optimizer_weights"), model.optimizer.variables)


def _describe(group: Any) -> None:
    group.attrs["backend"], group.attrs["keras_version"] = "jax", KERAS_VERSION


def _write_weights(group: Any, model: Any) -> None:
    _describe(group)
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        _write_arrays(group.create_group(layer.name), _weights(layer))
    _write_arrays(group.create_group(_TOP), _top(model))


def _weights(layer: Any) -> list[Any]:
    return layer.trainable_weights + layer.non_trainable_weights


def _top(model: Any) -> list[Any]:
    inside = {id(v) for layer in model.layers for v in layer.weights}
    return [v for v in _weights(model) if id(v) not in inside]


def _write_arrays(group: Any, variables: list[Any]) -> None:
    names: dict[str, Any] = {}
    for variable in variables:
        name, n = variable.path, 0
        while name in names:
            n += 1
            name = f"{variable.path}_{n}"
        names[name] = variable
    _write_names(group, "weight_names", list(names))
    for name, variable in names.items():
        stores.Entry(group)[name] = variable._array()


def _write_names(group: Any, name: str, names: list[str]) -> None:
    data = np.asarray([n.encode() for n in names]) if names else np.zeros((0,))
    parts = 1
    while any(piece.nbytes > _HEADER for piece in np.array_split(data, parts)):
        parts += 1
    for i, piece in enumerate(np.array_split(data, parts)):
        group.attrs[name if parts == 1 else f"{name}{i}"] = piece


def _names(group: Group, name: str) -> list[str]:
    """The names in an attribute, each once; long lists are in several attributes."""
    found = group.texts(name)
    if found is None:
        found = []
        for n in itertools.count():
            part = group.texts(f"{name}{n}")
            if part is None:
                break
            found += part
    repeated = next((n for n, times in Counter(found).items() if times > 1), None)
    if repeated is not None:
        raise ValueError(f"{name} of {group.path!r} has {repeated!r} twice: the file is damaged")
    return found


def load_model(path: str, custom_objects: dict | None = None, compile: bool = True) -> Any:
    """The model of a `.h5` file; no code from the file is run.

    Raises:
        ValueError: if the file is damaged, holds no model or what is refused, or names an unregistered class.
    """
    with opened(path) as file:
        if "model_config" not in file.attributes():
            raise ValueError(f"{path!r} holds no model but weights alone: build the model and call model.load_weights")
        model = model_of(_translated(file, "model_config", modern), custom_objects)
        weights = file.group("model_weights")
        if weights is None:
            raise ValueError(f"{path!r} has no group model_weights: the file is damaged")
        if not model.built and len(_names(weights, "layer_names")):
            warnings.warn(f"{path!r} does not say for which shapes the model was built: its weights wait", stacklevel=3)
            return model
        _fill(model, weights, False, False, None)
        if compile and "training_config" in file.attributes():
            _compile(model, _translated(file, "training_config", modern_training), custom_objects)
            _fill_optimizer(model, file.group("optimizer_weights"))
    return model


def _data(file: Group, name: str) -> Any:
    text = file.text(name)
    if text is None:
        raise ValueError(f"{name} is no text: the file is damaged")
    found = parse(name, text.encode())
    if not isinstance(found, dict):
        raise ValueError(f"{name} holds no object: the file is damaged")
    return found


def _translated(file: Group, name: str, translate: Callable) -> Any:
    """The data of an attribute in the form of today."""
    with part(f"{name} of the file"):
        return translate(_data(file, name))


def _compile(model: Any, config: dict, custom_objects: dict | None) -> None:
    with part("the training configuration (compile=False does without)"), CustomObjectScope(custom_objects):
        model.compile_from_config(config)


def _fill_optimizer(model: Any, group: Any) -> None:
    if group is None:
        return
    own = model.optimizer.variables if model.optimizer is not None else []
    names = _names(group, "weight_names")
    if len(own) != len(names):
        warnings.warn(
            f"the optimizer keeps its state: it has {len(own)} variables, the file has {len(names)}", stacklevel=5
        )
        return
    for variable, name in zip(own, names, strict=True):
        variable.assign(_array(group, name, "the optimizer", variable.shape))


def load_weights(
    model: Any, path: str, skip_mismatch: bool = False, by_name: bool = False, skipped: Iterable[Any] | None = None
) -> None:
    """Reads the weights of a `.h5` file into a built model.

    Args:
        model: built.
        path: of a weight file or whole model, of Keras 2 or 3.
        skip_mismatch: whether layers whose weights do not fit keep theirs, with a warning.
        by_name: whether layers are found by name, else by place among those with weights.
        skipped: layers to leave as they are.
    """
    with opened(path) as file:
        inner = None if _has_names(file) else file.group("model_weights")
        group = file if inner is None else inner
        if not _has_names(group):
            if by_name:
                raise ValueError(f"{path!r} is no file of the older format, the only one that can be read by name")
            stores.fill(model, lambda inner: [file.group(inner)], skip_mismatch, skipped)
            return
        _fill(model, group, skip_mismatch, by_name, skipped)


def _has_names(group: Group) -> bool:
    return not {"layer_names", "layer_names0"}.isdisjoint(group.attributes())


def _fill(model: Any, group: Any, skip_mismatch: bool, by_name: bool, skipped: Iterable[Any] | None) -> None:
    names = _filled(group)
    layers = [layer for layer in model.layers if _weights(layer)]
    if by_name:
        known = {layer.name: layer for layer in layers}
        pairs = [(n, known[n]) for n in names if n in known]
    else:
        if len(names) != len(layers):
            raise ValueError(
                f"the file has weights of {len(names)} layers {names[:8]}; the model has {len(layers)} layers with "
                f"weights. Is it another model? by_name=True loads those layers whose names agree"
            )
        pairs = list(zip(names, layers, strict=True))
    ids, failed = {id(s) for s in skipped or ()}, []
    for name, layer in pairs:
        if id(layer) in ids:
            continue
        try:
            _put(_weights(layer), _inner(group, name), f"layer {layer.name!r}")
        except ValueError:
            if not skip_mismatch:
                raise
            failed.append(layer.name)
    if _TOP in group and _top(model):
        _put(_top(model), _inner(group, _TOP), f"model {model.name!r}")
    if failed:
        warnings.warn(f"not loaded, because they do not fit the file: {', '.join(failed)}", stacklevel=5)


def _filled(group: Group) -> list[str]:
    """The names of the layers that have weights in the file, each with a group of its own."""
    found = []
    owners: dict[int, str] = {}
    for name in _names(group, "layer_names"):
        inner = _inner(group, name)
        other = owners.setdefault(inner.address, name)
        if other != name:
            raise ValueError(f"the layers {other!r} and {name!r} have one group in the file, which is refused")
        if _names(inner, "weight_names"):
            found.append(name)
    return found


def _inner(group: Group, name: str) -> Group:
    found = group.group(name)
    if found is None:
        raise ValueError(f"the file names a layer {name!r}, but has no group of it: it is damaged")
    return found


def _put(variables: list[Any], group: Any, label: str) -> None:
    names = _names(group, "weight_names")
    if len(names) != len(variables):
        raise ValueError(f"{label} has {len(variables)} weights; the file has {len(names)} for it")
    values = [_array(group, n, label, v.shape) for n, v in zip(names, variables, strict=True)]
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _array(group: Group, name: str, label: str, shape: tuple) -> np.ndarray:
    if name not in group:
        raise ValueError(f"{label}: the file has no array {name!r}")
    return group.array(name, label, tuple(shape))
