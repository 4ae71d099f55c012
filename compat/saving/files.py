"""Model and weight files: `.keras` archives and `.weights.h5`, as Keras 3 writes them.

Writes are atomic: the old file stays whole until the new one is complete.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

from compat.saving import orbax, stores
from compat.saving.serialization import deserialize_keras_object, serialize_keras_object

_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_EXPANSION = 100  # how much larger than the archive its members may be
_TEXT_LIMIT = 64 << 20


@contextlib.contextmanager
def _atomic(path: str) -> Iterator[Any]:
    """A file object to write, which becomes `path` when all is written."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".saving-")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _target(filepath: Any, ending: str, overwrite: bool) -> str:
    path = os.fspath(filepath)
    if not path.endswith(ending):
        raise ValueError(f"expected a path that ends in {ending}; received {path!r}")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder!r} to write {os.path.basename(path)!r} to")
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
    return path


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, include_optimizer: bool = True
) -> None:
    """Writes architecture, weights and training state to a `.keras` file.

    Args:
        model: a built model.
        filepath: ends in `.keras`.
        overwrite: whether an existing file is replaced.
        zipped: True or None; a folder instead of an archive is not supported.
        include_optimizer: whether the optimizer and its state are written.

    Raises:
        ValueError: if the model is not built, holds something that cannot be written, or the path
            has another ending.
        FileExistsError: if the file exists and `overwrite` is False.
    """
    if zipped is False:
        raise ValueError("save: a folder in place of a .keras archive is not supported; leave out zipped=False")
    path = _target(filepath, ".keras", overwrite)
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built, so it has no weights to save: call it on data first")
    config = serialize_keras_object(model)
    if not include_optimizer:
        config.pop("compile_config", None)
    text = json.dumps(config)
    import compat

    made = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": compat.__version__, "date_saved": made})
    with _atomic(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("config.json", text)
        with _without_optimizer(model, include_optimizer), tempfile.TemporaryFile() as weights:
            stores.write(model, weights)
            weights.seek(0)
            with archive.open("model.weights.h5", "w", force_zip64=True) as member:
                while block := weights.read(1 << 22):
                    member.write(block)


@contextlib.contextmanager
def _without_optimizer(model: Any, include: bool) -> Iterator[None]:
    optimizer = model.__dict__.get("optimizer")
    if not include:
        model.__dict__["optimizer"] = None
    try:
        yield
    finally:
        model.__dict__["optimizer"] = optimizer


def load_model(filepath: Any, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Reads a model from a `.keras` file; no code from the file is run.

    Args:
        filepath: of the file.
        custom_objects: `{name: class or function}` that the file may name.
        compile: whether to compile the model as it was, the optimizer's state included.
        safe_mode: must be True: there is no unsafe way to load.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds what is refused, or names an unregistered class.
    """
    if not safe_mode:
        raise ValueError("load_model: safe_mode=False would run code from the file; there is no such way here")
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {path!r}")
    if orbax.is_checkpoint(path):
        return orbax.load_model(path, custom_objects, compile)
    if path.endswith((".h5", ".hdf5")):
        raise ValueError(f"{path!r} is a whole-model file of an older format; save it as .keras with Keras first")
    with _opened(path) as archive:
        config = _json(archive, "config.json")
        if not compile:
            config.pop("compile_config", None)
        model = deserialize_keras_object(config, custom_objects=custom_objects)
        if not hasattr(model, "load_weights"):
            raise ValueError(f"{path!r} holds a {type(model).__name__}, not a model")
        with _member(archive, "model.weights.h5") as weights, _without_optimizer(model, _ready(model)):
            stores.read(model, weights)
    return model


def _ready(model: Any) -> bool:
    optimizer = model.__dict__.get("optimizer")
    return optimizer is not None and optimizer.built


@contextlib.contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path!r} is not a whole .keras archive ({error}): it is damaged or was cut off") from error
    with archive:
        limit = _EXPANSION * max(os.path.getsize(path), 4096)
        for info in archive.infolist():
            name = info.filename
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
                raise ValueError(f"{path!r}: the archive names {name!r}, a path out of itself, which is refused")
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise ValueError(f"{path!r}: the archive holds a link {name!r}, which is refused")
        if sum(i.file_size for i in archive.infolist()) > limit:
            raise ValueError(f"{path!r}: the archive expands to far more than its size, which is refused")
        missing = _MEMBERS - {"metadata.json"} - set(archive.namelist())
        if missing:
            raise ValueError(f"{path!r} is no .keras file of a model: it lacks {', '.join(sorted(missing))}")
        yield archive


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > _TEXT_LIMIT:
        raise ValueError(f"{name} in the archive is larger than {_TEXT_LIMIT:,} bytes, which is refused")
    try:
        return json.loads(archive.read(name))
    except (ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise ValueError(f"{name} in the archive cannot be read ({error}): the file is damaged") from error


@contextlib.contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    """A member as a seekable file: in place if it is stored uncompressed, else in memory."""
    try:
        with archive.open(name) as member:
            if archive.getinfo(name).compress_type == zipfile.ZIP_STORED:
                yield member
            else:
                yield io.BytesIO(member.read())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{name} in the archive is damaged ({error})") from error


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes the weights to a `.weights.h5` file.

    Raises:
        ValueError: if the path has another ending, or the model is not built.
        FileExistsError: if the file exists and `overwrite` is False.
    """
    path = _target(filepath, ".weights.h5", overwrite)
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built, so it has no weights to save: call it on data first")
    with _atomic(path) as file:
        stores.write(model, file)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Reads the weights of a `.weights.h5` or `.keras` file into a built model.

    Args:
        model: built, of the same architecture.
        filepath: of the file.
        skip_mismatch: whether layers whose weights do not fit keep theirs, with a warning.
    """
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {path!r}")
    if orbax.is_checkpoint(path):
        orbax.load_weights(model, path)
    elif path.endswith(".keras"):
        with (
            _opened(path) as archive,
            _member(archive, "model.weights.h5") as weights,
            _without_optimizer(model, _ready(model)),
        ):
            stores.read(model, weights, skip_mismatch)
    elif path.endswith(".h5"):
        with _without_optimizer(model, _ready(model)):
            stores.read(model, path, skip_mismatch)
    else:
        raise ValueError(f"load_weights: expected a .weights.h5 or .keras file; received {path!r}")
