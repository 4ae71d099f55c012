"""Orbax checkpoints in the layout that Keras gives them: a folder per step with a pytree and the model's config.

Reading looks at the folder before orbax does: no links, no names that are paths, no data that is missing or
unpacks to more than it should. It builds the model from its config as `load_model` does, and compares every
array's shape with its variable's before it is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from compat.saving import assets, stores
from compat.saving.archives import parse
from compat.saving.ocdbt import MANIFEST, Files, values
from compat.saving.orbax_paths import Nearest, numbered
from compat.saving.zarr_arrays import check_arrays
from compat.serialization.models import model_of
from compat.serialization.objects import serialize_keras_object
from kfun.errors import MissingExtraError
from kfun.tree import flatten

_WEIGHTS = ("trainable_variables", "non_trainable_variables")
_MARK = "_CHECKPOINT_METADATA"
_TREE = "_METADATA"
_MOST_ASSETS = 1 << 32  # bytes
_MOST_TEXT = 64 << 20  # bytes of a JSON file
_EXPANSION = 100  # how much larger than what is stored assets may be
_ARRAYS = ("jax.Array", "np.ndarray")  # what a tree calls leaves that have data in files


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
    for variable, parts in numbered(variables):
        inner = tree
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        inner[parts[-1]] = jax.numpy.copy(variable.value)
    return tree


@contextlib.contextmanager
def _reading(folder: str) -> Iterator[None]:
    """What orbax and its libraries raise about a folder, which may be anything, is a ValueError."""
    try:
        yield
    except (ValueError, MissingExtraError):
        raise
    except Exception as error:
        first: BaseException = error
        while first.__cause__ or first.__context__:
            first = first.__cause__ or first.__context__
        raise ValueError(
            f"{folder!r} cannot be read as an Orbax checkpoint of a model ({type(first).__name__}: {first!s:.500}): "
            "it is damaged or of something else"
        ) from error


def _step(path: Any) -> str:
    """The folder of the last step, when nothing in it leads elsewhere."""
    folder = latest(path)
    if folder is None:
        raise ValueError(f"{os.fspath(path)!r} holds no Orbax checkpoint")
    if folder != os.path.abspath(os.fspath(path)) and os.path.islink(folder):
        raise ValueError(f"{folder!r} is a link, which is refused: pass the folder that it leads to")
    parts: dict[str, set[str]] = {}
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            inner = os.path.join(where, name)
            kind = os.lstat(inner).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                found = "a link" if stat.S_ISLNK(kind) else "neither a file nor a folder"
                raise ValueError(f"{inner!r} in the checkpoint is {found}, which is refused")
        names = _array_names(os.path.join(where, _TREE)) if _TREE in files else set()
        if folder in (where, os.path.dirname(where)):
            parts[where] = names
    for part, names in parts.items():
        _check_data(part, names)
    return folder


def _array_names(path: str) -> set[str]:
    """The names of a tree's arrays, of parts which orbax joins to paths of files: they must be names."""
    arrays = set()
    with open(path, "rb") as file:
        tree = parse(path, file.read(min(os.fstat(file.fileno()).st_size, _MOST_TEXT) + 1))
    with _reading(path):
        for entry in tree["tree_metadata"].values():
            parts = [str(key["key"]) for key in entry["key_metadata"]]
            for name in parts:
                if "/" in name or "\0" in name or name in ("", ".", ".."):
                    raise ValueError(f"{path!r} gives an array the name {name!r}, which leads out: refused")
            if entry["value_metadata"]["value_type"] in _ARRAYS:
                arrays.add(".".join(parts))
    return arrays


def _check_data(folder: str, names: set[str]) -> None:
    """The arrays of a part, which has them in a database or as files, must be there, whole and not too large."""
    with _reading(folder), Files(folder) as files:
        found = check_arrays(repr(folder), {name: files.piece(name) for name in files.names()})
        if os.path.isfile(os.path.join(folder, MANIFEST)):
            found += check_arrays(repr(folder), values(files))
    missing = sorted(names.difference(found))
    if missing:
        raise ValueError(
            f"{folder!r} has no data of {len(missing):,} of its {len(names):,} arrays, the first of which is "
            f"{missing[0]!r}: copy the checkpoint again, whole"
        )


def load_weights(model: Any, path: Any) -> None:
    """Reads the weights of the last step into a built model, and the optimizer's and metrics' state if both have it.

    Raises:
        ValueError: if there is no checkpoint, or its arrays are not those of the model.
    """
    v1 = orbax("Reading an Orbax checkpoint")
    _read_weights(model, v1, _step(path))


def _read_weights(model: Any, v1: Any, folder: str) -> None:
    with _reading(folder):
        saved = v1.checkpointables_metadata(folder).metadata["pytree"]
        stored = flatten({name: saved[name] for name in saved})
        for name, leaf in stored.items():
            _check_array(f"{folder!r}: the array {name!r}", leaf)
    places = _places(model, folder, stored)
    _refuse_others(stored, places)
    with _reading(folder):
        values = flatten(_arrays(v1, folder, "pytree", saved))
    for variable, place in places:
        variable.assign(np.asarray(values[place]))


def _places(model: Any, folder: str, stored: dict[str, Any]) -> list[tuple[Any, str]]:
    """The variables of a model, each with the path of its array."""
    places: list[tuple[Any, str]] = []
    for name, variables in _groups(model).items():
        own = {path.partition("/")[2]: leaf for path, leaf in stored.items() if path.startswith(f"{name}/")}
        if name not in _WEIGHTS and not own:
            continue
        nearest = Nearest(own, by_name=name not in _WEIGHTS)
        for variable, parts in numbered(variables):
            path = nearest.to("/".join(parts))
            if path is None:
                raise ValueError(f"{folder!r} has no array for the variable {variable.path!r}")
            shape = tuple(own[path].shape)
            if shape != tuple(variable.shape):
                raise ValueError(f"{variable.path!r} has shape {tuple(variable.shape)}; the checkpoint has {shape}")
            places.append((variable, f"{name}/{path}"))
    return places


def _check_array(label: str, leaf: Any) -> None:
    if leaf.dtype.kind not in "biufcV":
        raise ValueError(f"{label} has dtype {leaf.dtype}, which is no number")


def _arrays(v1: Any, folder: str, name: str, declared: Any) -> Any:
    """The arrays of one part of a checkpoint, in the forms that its metadata declare."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), declared)
    return v1.load_checkpointables(folder, {name: wanted})[name]


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
    v1 = orbax("Reading an Orbax checkpoint")
    folder = _step(path)
    if not os.path.isdir(os.path.join(folder, "model_config")):
        raise ValueError(f"{folder!r} holds weights alone: build the model and call model.load_weights")
    with _reading(folder):
        text = v1.load_checkpointables(folder, {"model_config": {"config": ""}})["model_config"]["config"].encode()
    config = parse(f"{folder!r}: its config", text)
    if not isinstance(config, dict):
        raise ValueError(f"{folder!r}: its config holds no object, but {type(config).__name__}: it is damaged")
    if not compile:
        config.pop("compile_config", None)
    model = model_of(config, custom_objects)
    _read_weights(model, v1, folder)
    if os.path.isdir(os.path.join(folder, "assets")):
        _load_assets(model, v1, folder)
    return model


def _load_assets(model: Any, v1: Any, folder: str) -> None:
    """Lets the model's objects read their files, whose sizes and names are looked at before their bytes."""
    part = os.path.join(folder, "assets")
    with _reading(folder):
        declared = v1.checkpointables_metadata(folder).metadata["assets"]
        others = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(declared)} - {"uint8"})
    if others:
        raise ValueError(f"the checkpoint's assets must be bytes (uint8); it declares {', '.join(others)}")
    sizes = [int(np.prod(leaf.shape, dtype=object)) for leaf in jax.tree.leaves(declared)]
    if sum(sizes) > _MOST_ASSETS:
        raise ValueError(f"the checkpoint declares {sum(sizes):,} bytes of assets; at most {_MOST_ASSETS:,} are read")
    stored = sum(os.path.getsize(os.path.join(w, n)) for w, _, names in os.walk(part) for n in names)
    if sum(sizes) > _EXPANSION * stored:
        raise ValueError(f"the checkpoint declares {sum(sizes):,} bytes of assets and stores {stored:,}: refused")
    for leaf in jax.tree.leaves(declared):
        _check_array(f"{folder!r}: an asset", leaf)
    with _reading(folder):
        content = _arrays(v1, folder, "assets", declared)
    with tempfile.TemporaryDirectory() as target:
        assets.write_arrays(content, target)
        assets.load_assets(stores.walk(model), target)
