"""Orbax checkpoints in the layout that Keras gives them: a folder per step with a pytree and the model's config.

Reading builds the model from its config as `load_model` does, and compares every array's shape with
its variable's before the array is read.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from compat.saving import assets
from kfun.errors import MissingExtraError
from kfun.tree import flatten

_WEIGHTS = ("trainable_variables", "non_trainable_variables")
_MARK = "_CHECKPOINT_METADATA"
_MOST_ASSETS = 1 << 32  # bytes


def orbax(purpose: str) -> Any:
    """The module `orbax.checkpoint.v1`.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        from orbax.checkpoint import v1
    except ImportError as error:
        raise MissingExtraError("orbax-checkpoint", "orbax", purpose) from error
    return v1


def is_checkpoint(path: Any) -> bool:
    """Whether a path is a checkpoint, or a folder of checkpoints by step."""
    return latest(path) is not None


def latest(path: Any) -> str | None:
    """The folder of the last complete step in a path, or the path itself if it is a step's; None if neither."""
    path = os.path.abspath(os.fspath(path))
    if not os.path.isdir(path):
        return None
    if os.path.isfile(os.path.join(path, _MARK)):
        return path
    steps = [n for n in os.listdir(path) if re.fullmatch(r"\d{1,18}", n)]
    complete = [n for n in steps if os.path.isfile(os.path.join(path, n, _MARK))]
    return os.path.join(path, max(complete, key=int)) if complete else None


def checkpointables(model: Any, weights_only: bool) -> dict[str, Any]:
    """What is saved of a model: its variables' values by path, its config as JSON, its objects' files as bytes."""
    groups = _groups(model)
    tree = {name: _nested(groups[name]) for name in (_WEIGHTS if weights_only else groups)}
    if weights_only:
        return {"pytree": tree}
    from compat.saving import serialize_keras_object

    parts = {"pytree": tree, "model_config": {"config": json.dumps(serialize_keras_object(model))}}
    with tempfile.TemporaryDirectory() as folder:
        return parts | ({"assets": assets.as_arrays(folder)} if assets.save_assets(model, folder) else {})


def _groups(model: Any) -> dict[str, list[Any]]:
    optimizer = getattr(model, "optimizer", None)
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": list(optimizer.variables) if optimizer is not None and optimizer.built else [],
        "metrics_variables": model.metrics_variables,
    }


def _nested(variables: list[Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for variable, parts in _paths(variables):
        inner = tree
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        inner[parts[-1]] = jax.numpy.copy(variable.value)
    return tree


def _paths(variables: list[Any]) -> Iterator[tuple[Any, list[str]]]:
    """Each variable with the parts of its path; a path that is another's too, or begins it, gets a number."""
    used: set[str] = set()
    for variable in variables:
        path, n = variable.path, 0
        while path in used or any(u.startswith(f"{path}/") or path.startswith(f"{u}/") for u in used):
            n += 1
            path = f"{variable.path}_{n}"
        used.add(path)
        yield variable, path.split("/")


def load_weights(model: Any, path: Any) -> None:
    """Reads the weights of the last step into a built model, and the optimizer's and metrics' state if both have it.

    Raises:
        ValueError: if there is no checkpoint, or its arrays are not those of the model.
    """
    v1 = orbax("Reading an Orbax checkpoint")
    folder = latest(path)
    if folder is None:
        raise ValueError(f"{os.fspath(path)!r} holds no Orbax checkpoint")
    try:
        saved = v1.checkpointables_metadata(folder).metadata["pytree"]
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ValueError(f"{folder!r} is no Orbax checkpoint of a model ({error})") from error
    places: list[tuple[Any, str]] = []
    stored = flatten({name: saved[name] for name in saved})
    for name, variables in _groups(model).items():
        own = {path.partition("/")[2]: leaf for path, leaf in stored.items() if path.startswith(f"{name}/")}
        if name not in _WEIGHTS and not own:
            continue
        for variable, parts in _paths(variables):
            path = _nearest_path("/".join(parts), own, by_name=name not in _WEIGHTS)
            if path is None:
                raise ValueError(f"{folder!r} has no array for the variable {variable.path!r}")
            shape = tuple(own[path].shape)
            if shape != tuple(variable.shape):
                raise ValueError(f"{variable.path!r} has shape {tuple(variable.shape)}; the checkpoint has {shape}")
            places.append((variable, f"{name}/{path}"))
    _refuse_others(stored, places)
    values = flatten(_arrays(v1, folder, "pytree", saved))
    for variable, path in places:
        variable.assign(np.asarray(values[path]))


def _arrays(v1: Any, folder: str, name: str, declared: Any) -> Any:
    """The arrays of one part of a checkpoint, in the forms that its metadata declare."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), declared)
    return v1.load_checkpointables(folder, {name: wanted})[name]


def _nearest_path(path: str, stored: dict[str, Any], by_name: bool) -> str | None:
    """The path of a variable in a checkpoint, whose model may have stood under another name.

    Optimizers, which have names of their own, join the paths of weights by "_" into one name, so that
    `by_name` the last part decides.
    """
    if path in stored:
        return path
    for last in (False, True)[: 1 + by_name]:
        key = path.rpartition("/")[2] if last else path
        found = []
        for other in stored:
            name = other.rpartition("/")[2] if last else other
            long, short = (name, key) if len(name) > len(key) else (key, name)
            if long == short or (long.endswith(short) and long[-len(short) - 1] in "/_"):
                found.append(other)
        if len(found) == 1:
            return found[0]
    return None


def _refuse_others(stored: dict[str, Any], places: list[tuple[Any, str]]) -> None:
    """Large arrays that no variable has would be read for nothing, or to fill the memory."""
    known = sum(int(np.prod(v.shape)) for v, _ in places)
    declared = sum(int(np.prod(leaf.shape, dtype=object)) for leaf in stored.values())
    if declared > 16 * known + (1 << 20):
        raise ValueError(
            f"the checkpoint declares {declared:,} numbers, the model has {known:,}: it is of another model"
        )


def load_model(path: Any, custom_objects: dict | None = None, compile: bool = True) -> Any:
    """The model of the last step; no code from the files is run.

    Raises:
        ValueError: if there is no checkpoint, or one of weights alone.
    """
    from compat.saving import deserialize_keras_object

    v1 = orbax("Reading an Orbax checkpoint")
    folder = latest(path)
    if folder is None:
        raise ValueError(f"{os.fspath(path)!r} holds no Orbax checkpoint")
    if not os.path.isdir(os.path.join(folder, "model_config")):
        raise ValueError(f"{folder!r} holds weights alone: build the model and call model.load_weights")
    text = v1.load_checkpointables(folder, {"model_config": {"config": ""}})["model_config"]["config"]
    config = json.loads(text)
    if not compile:
        config.pop("compile_config", None)
    model = deserialize_keras_object(config, custom_objects=custom_objects)
    if not hasattr(model, "load_weights"):
        raise ValueError(f"{folder!r} holds a {type(model).__name__}, not a model")
    load_weights(model, folder)
    if os.path.isdir(os.path.join(folder, "assets")):
        _load_assets(model, v1, folder)
    return model


def _load_assets(model: Any, v1: Any, folder: str) -> None:
    """Lets the model's objects read their files, whose sizes and names are looked at before their bytes."""
    declared = v1.checkpointables_metadata(folder).metadata["assets"]
    others = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(declared)} - {"uint8"})
    if others:
        raise ValueError(f"the checkpoint's assets must be bytes (uint8); it declares {', '.join(others)}")
    sizes = [int(np.prod(leaf.shape, dtype=object)) for leaf in jax.tree.leaves(declared)]
    if sum(sizes) > _MOST_ASSETS:
        raise ValueError(f"the checkpoint declares {sum(sizes):,} bytes of assets; at most {_MOST_ASSETS:,} are read")
    with tempfile.TemporaryDirectory() as target:
        assets.write_arrays(_arrays(v1, folder, "assets", declared), target)
        assets.load_assets(model, target)
