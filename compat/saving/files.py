"""Model and weight files: `.keras` archives and folders, `.weights.h5`, older `.h5`, as Keras 3 writes and reads them.

Writes are atomic: the old file stays whole until the new one is complete.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from compat.saving import h5, orbax, random_streams, shards, stores
from compat.saving.archives import CONFIG, METADATA, WEIGHTS, Archive, Folder, write_member
from compat.saving.assets import load_assets, save_assets
from compat.serialization.models import model_of
from compat.serialization.objects import serialize_keras_object
from compat.serialization.registry import claim, reading
from compat.state.settings import KERAS_VERSION
from kfun.atomic import atomic_file, atomic_folder
from kfun.folders import of_one_save, put_right

_OLD = (".h5", ".hdf5")


class MissingFileError(FileNotFoundError, ValueError):
    """There is no such file; Keras raises ValueError for a model and FileNotFoundError for weights."""


def _target(filepath: Any, endings: tuple[str, ...], overwrite: bool) -> str:
    path = _path(filepath)
    if not path.endswith(endings):
        raise ValueError(f"expected a path that ends in {' or '.join(endings)}; received {path!r}")
    return _free(path, overwrite)


def _free(path: str, overwrite: bool, make_folder: bool = False) -> str:
    folder = os.path.dirname(os.path.abspath(path))
    if make_folder:
        os.makedirs(folder, exist_ok=True)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder!r} to write {os.path.basename(path)!r} to")
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
    return path


def _path(filepath: Any) -> str:
    if not isinstance(filepath, (str, os.PathLike)):
        raise ValueError(f"expected a path as filepath; received {type(filepath).__name__}: {filepath!r:.80}")
    return os.fspath(filepath)


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Writes architecture, weights and training state.

    Args:
        model: a model; with a warning one that is not built, whose weights are then missing from the file.
        filepath: ends in `.keras`; a folder's name with `zipped=False`; `.h5` for the older format; or a binary
            file object to write an archive to.
        overwrite: whether an existing file is replaced.
        zipped: False for a folder in place of an archive. It is made with those above it, as for `.h5`.
        kwargs: `include_optimizer`, whether the optimizer and its state are written; `save_format`, what the
            ending says.

    Raises:
        ValueError: if the model holds something that cannot be written, or the path has another ending.
        FileExistsError: if the file exists and `overwrite` is False.
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"save: unknown arguments {sorted(kwargs)}; known: overwrite, zipped, include_optimizer")
    if not model.built:
        warnings.warn(
            f"model {model.name!r} is not built: the file gets its definition and what weights there are; call it on "
            "data first if it should have all",
            stacklevel=3,
        )
    if hasattr(filepath, "write"):
        with tempfile.TemporaryFile() as file:
            _write_archive(model, file, include_optimizer)
            file.seek(0)
            shutil.copyfileobj(file, filepath)
    elif _path(filepath).endswith(_OLD):
        if zipped is not None:
            raise ValueError("save: a .h5 file is no archive: leave out zipped")
        h5.save_model(model, _free(_path(filepath), overwrite, make_folder=True), include_optimizer)
    elif zipped is False:
        path = _path(filepath)
        if path.endswith(".keras"):
            raise ValueError(f"save: with zipped=False expected a folder's name without .keras; received {path!r}")
        _write_folder(model, _free(path, overwrite, make_folder=True), include_optimizer)
    else:
        with atomic_file(_target(filepath, (".keras",), overwrite)) as file:
            _write_archive(model, file, include_optimizer)


def _texts(model: Any, include_optimizer: bool) -> dict[str, str]:
    optimizer = model.__dict__.get("optimizer")
    if include_optimizer and optimizer is not None:
        optimizer.build(model.trainable_variables)  # who loads the file has built it, and looks for its variables
    config = serialize_keras_object(model)
    if not include_optimizer:
        config.pop("compile_config", None)
    made = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": made}
    streams = random_streams.states(model) if model.built else []
    if streams:
        metadata[random_streams.KEY] = streams
    return {METADATA: json.dumps(metadata), CONFIG: json.dumps(config)}


def _write_archive(model: Any, file: Any, include_optimizer: bool) -> None:
    texts = _texts(model, include_optimizer)
    with zipfile.ZipFile(file, "w") as archive, _without_optimizer(model, include_optimizer):
        for name, text in texts.items():
            archive.writestr(name, text)
        write_member(archive, WEIGHTS, lambda part: stores.write(model, part))
        with tempfile.TemporaryDirectory() as folder:
            save_assets(model, folder)
            for where, _, names in sorted(os.walk(folder)):
                for name in sorted(names):
                    path = os.path.join(where, name)
                    archive.write(path, "assets/" + os.path.relpath(path, folder).replace(os.sep, "/"))


def _write_folder(model: Any, path: str, include_optimizer: bool) -> None:
    texts = _texts(model, include_optimizer)
    with atomic_folder(path) as folder, _without_optimizer(model, include_optimizer):
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, WEIGHTS), "w+b") as file:
            stores.write(model, file)
        save_assets(model, os.path.join(folder, "assets"))


@contextlib.contextmanager
def _without_optimizer(model: Any, include: bool) -> Iterator[None]:
    optimizer = model.__dict__.get("optimizer")
    if not include:
        model.__dict__["optimizer"] = None
    try:
        yield
    finally:
        model.__dict__["optimizer"] = optimizer


def load_model(
    filepath: Any,
    custom_objects: dict | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    allowance: float | None = None,
) -> Any:
    """Reads a model from a `.keras` archive, a folder, an Orbax checkpoint or a `.h5` file; no code from it is run.

    Args:
        filepath: of the file or folder; or a seekable binary file object with an archive.
        custom_objects: `{name: class or function}` that the file may name; `{layer name: layer}` for a layer that no
            file may make, because it opens other files or runs foreign code.
        compile: whether to compile the model as it was, the optimizer's state included.
        safe_mode: Keras runs code of the file if this is False; here no code of a file is run, whatever it
            says, so a file that holds some is refused in any case.
        allowance: bytes of memory that the file may ask for beyond what it stores, for metrics and weights that it
            lacks; 256 MiB by default. A greater one than 64 GiB also lets compressed parts expand to so much.

    Raises:
        MissingFileError: if there is no such file: a FileNotFoundError and a ValueError.
        ValueError: if it is damaged, holds what is refused, or names an unregistered class.
    """
    with reading(allowance):
        model = _loaded(filepath, custom_objects, compile, allowance)
        _claim_missing(model)
    return model


def _loaded(filepath: Any, custom_objects: dict | None, compile: bool, allowance: float | None) -> Any:
    if hasattr(filepath, "read"):
        return _load(Archive(filepath, "the file object", allowance), custom_objects, compile)
    path = _existing(filepath)
    if orbax.is_checkpoint(path):
        return orbax.load_model(path, custom_objects, compile)
    if os.path.isdir(path):
        return of_one_save(path, lambda folder: _load(Folder(folder), custom_objects, compile))
    if path.endswith(_OLD):
        return h5.load_model(path, custom_objects, compile)
    with open(path, "rb") as file:
        return _load(Archive(file, repr(path), allowance), custom_objects, compile)


_STATE = 8  # times the size of the weights that an optimizer's state may have


def _claim_missing(model: Any) -> None:
    """Claims the memory of variables that the file has no values for, when it is more than an optimizer's state."""
    stored = missing = 0
    for variable in model.variables:
        nbytes = math.prod(variable.shape) * np.dtype(variable.dtype).itemsize
        if variable.drawn:
            stored += nbytes
        else:
            missing += nbytes
    if missing > _STATE * stored:
        claim(missing, f"model {model.name!r}, for weights that the file lacks,")


def _existing(filepath: Any) -> str:
    path = _path(filepath)
    put_right(path)
    if not os.path.exists(path):
        raise MissingFileError(f"File not found: filepath={path}: there is no such file or folder")
    if not os.path.isfile(path) and not os.path.isdir(path):
        raise ValueError(f"expected a file or a folder; {path!r} is a pipe or a device")
    return path


def _load(parts: Any, custom_objects: dict | None, compile: bool) -> Any:
    config = parts.text(CONFIG)
    if not isinstance(config, dict):
        raise ValueError(f"{CONFIG} holds no object, but {type(config).__name__}: the file is damaged")
    if not compile:
        config.pop("compile_config", None)
    model = model_of(config, custom_objects)
    ready = _ready(model)
    with parts.weights() as weights, _without_optimizer(model, ready):
        walked = stores.read(model, weights)
    if model.built and parts.has(METADATA):
        random_streams.restore(model, parts.text(METADATA))
    with parts.assets() as folder:
        load_assets(walked if ready else stores.walk(model), folder)
    return model


def _ready(model: Any) -> bool:
    optimizer = model.__dict__.get("optimizer")
    return optimizer is not None and optimizer.built


def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None, **kwargs: Any
) -> None:
    """Writes the weights to a `.weights.h5` file, or to several.

    Args:
        model: a built model.
        filepath: ends in `.weights.h5`, or in `.weights.json` for several files.
        overwrite: whether an existing file is replaced.
        max_shard_size: of a file in GB; then there are several, and an index `.weights.json`.
        kwargs: `objects_to_skip`, a list of layers to leave out.

    Raises:
        ValueError: if the path has another ending, or the model is not built.
        FileExistsError: if the file exists and `overwrite` is False.
    """
    skipped = kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise ValueError(
            f"save_weights: unknown arguments {sorted(kwargs)}; known: overwrite, max_shard_size, objects_to_skip"
        )
    endings = (".weights.h5",) if max_shard_size is None else (".weights.h5", shards.INDEX)
    path = _target(filepath, endings, overwrite)
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built, so it has no weights to save: call it on data first")
    if max_shard_size is not None:
        shards.write(model, path, max_shard_size, skipped)
        return
    with atomic_file(path) as file:
        stores.write(model, file.name, skipped)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Reads weights into a built model.

    Args:
        model: built, of the same architecture.
        filepath: of a `.weights.h5`, `.weights.json`, `.keras` or `.h5` file, or an Orbax checkpoint.
        skip_mismatch: whether layers whose weights do not fit keep theirs, with a warning.
        kwargs: `objects_to_skip`, a list of layers to leave as they are; `by_name`, for `.h5` files, whether
            layers are found by name instead of by place; `allowance`, for `.keras` files, bytes that compressed
            weights may expand to, where that is more than 64 GiB.
    """
    skipped, by_name = kwargs.pop("objects_to_skip", None), kwargs.pop("by_name", False)
    allowance = kwargs.pop("allowance", None)
    if kwargs:
        raise ValueError(
            f"load_weights: unknown arguments {sorted(kwargs)}; known: objects_to_skip, by_name, allowance"
        )
    path = _existing(filepath)
    old = path.endswith(_OLD) and not path.endswith(".weights.h5")
    if by_name and not old:
        raise ValueError(f"load_weights: by_name is for files of the older .h5 format; received {path!r}")
    if orbax.is_checkpoint(path):
        orbax.load_weights(model, path)
        return
    with _without_optimizer(model, _ready(model)):
        if path.endswith(".keras"):
            with open(path, "rb") as file, Archive(file, repr(path), allowance).weights() as weights:
                stores.read(model, weights, skip_mismatch, skipped)
        elif path.endswith(shards.INDEX):
            with shards.opened(path) as groups:
                stores.fill(model, groups, skip_mismatch, skipped)
        elif old:
            h5.load_weights(model, path, skip_mismatch, by_name, skipped)
        elif path.endswith(".weights.h5"):
            stores.read(model, path, skip_mismatch, skipped)
        else:
            raise ValueError(
                f"load_weights: expected a .keras, .weights.h5, .weights.json or .h5 file; received {path!r}"
            )
