"""Checkpoints: a folder with a JSON description and safetensors files, for any pytree of arrays.

`checkpoint.json` has the version of the layout, the tree's form, the definition of the net if there is
one, and what the user adds; `arrays-00000.safetensors`, ... have the arrays by path. Arrays are written
and read one at a time, so that no second copy of a model is ever in memory. The safetensors layout
(https://github.com/huggingface/safetensors) is a JSON header and plain bytes: its own NumPy interface
collects everything before it writes and knows no bfloat16, so that the few lines are here.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np

from kfun import ops, tree
from kfun.atomic import atomic_folder
from kfun.definition import Definition, from_config
from kfun.folders import SteadyFolder, of_one_save, put_right

FORMAT, VERSION = "kfun-checkpoint", 1
_INDEX = "checkpoint.json"
_TEXT_LIMIT = 100 << 20  # bytes of a header or the index
_HELD = 256  # files that are open from the start, so that they can be read though a save replaces the folder
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64,
    "I32": np.int32, "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_, "C64": np.complex64, "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
_CODES = {np.dtype(v): k for k, v in _DTYPES.items()}


def save(
    path: str | os.PathLike,
    values: Any,
    *,
    definition: Definition | None = None,
    metadata: Any = None,
    max_shard_size: int = 5 << 30,
    overwrite: bool = True,
) -> None:
    """Writes a pytree of arrays: parameters, state, an optimizer's state, or all of them in a dict.

    The folder appears when it is complete; one that was there stays whole until then.

    Args:
        path: of the folder.
        values: the pytree; its leaves are arrays of any framework, or numbers.
        definition: of the net, which `load_definition` makes again.
        metadata: JSON data of the user's.
        max_shard_size: bytes of arrays in one file.
        overwrite: whether a folder that is there is replaced.

    Raises:
        FileExistsError: if there is one and `overwrite` is False.
        ValueError: if a leaf is no array of numbers, or two leaves have one path.
    """
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{os.fspath(path)!r} exists; pass overwrite=True to replace it")
    leaves = tree.flatten(values)
    if len(leaves) != len(jax.tree.leaves(values)):
        raise ValueError("checkpoint: two leaves have the same path: do not use '/' in the names of a tree")
    entries = {name: _entry(name, leaf) for name, leaf in leaves.items()}
    with atomic_folder(os.fspath(path)) as folder:
        files: dict[str, list[str]] = {}
        for names in _shards(entries, max_shard_size):
            file = f"arrays-{len(files):05d}.safetensors"
            files[file] = names
            _write(os.path.join(folder, file), {n: entries[n] for n in names}, leaves)
        index = {
            "format": FORMAT, "version": VERSION, "metadata": metadata, "form": _form(values, ()),
            "definition": None if definition is None else definition.to_config(), "files": list(files),
        }  # fmt: skip
        with open(os.path.join(folder, _INDEX), "w", encoding="utf-8") as file:
            json.dump(index, file)


def _entry(name: str, leaf: Any) -> tuple[str, tuple[int, ...], int]:
    """`(code of the dtype, shape, bytes)` without moving the array."""
    leaf = leaf if hasattr(leaf, "dtype") and hasattr(leaf, "shape") else np.asarray(leaf)
    dtype = ops.convert_to_numpy(leaf).dtype if not isinstance(leaf, (np.ndarray, jax.Array)) else leaf.dtype
    if dtype not in _CODES:
        raise ValueError(f"checkpoint: {name!r} has dtype {dtype}, which cannot be written; keys: jax.random.key_data")
    shape = tuple(int(s) for s in leaf.shape)
    return _CODES[np.dtype(dtype)], shape, math.prod(shape) * np.dtype(dtype).itemsize


def _shards(entries: dict, limit: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, (_, _, nbytes) in entries.items():
        if names and size + nbytes > limit:
            yield names
            names, size = [], 0
        names.append(name)
        size += nbytes
    if names:
        yield names


def _write(path: str, entries: dict, leaves: dict[str, Any]) -> None:
    header: dict[str, Any] = {}
    start = 0
    for name, (code, shape, nbytes) in entries.items():
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, start + nbytes]}
        start += nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in entries:
            array = np.ascontiguousarray(ops.convert_to_numpy(leaves[name]))
            file.write(array.reshape(-1).view(np.uint8).data)


def _form(values: Any, keys: tuple) -> Any:
    """The tree as JSON, a path in place of each leaf; None for what only `like` can make again."""
    if type(values) is dict and all(isinstance(k, str) for k in values):
        return {"dict": {k: _form(v, (*keys, k)) for k, v in values.items()}}
    if type(values) in (list, tuple):
        return {type(values).__name__: [_form(v, (*keys, i)) for i, v in enumerate(values)]}
    if values is None:
        return {"none": None}
    return {"leaf": "/".join(map(str, keys))} if jax.tree_util.all_leaves([values]) else None


def load(path: str | os.PathLike, like: Any = None, convert: Callable[[str, np.ndarray], Any] | None = None) -> Any:
    """Reads a checkpoint. Nothing in it is executed.

    Args:
        path: of the folder.
        like: a pytree of arrays or specs of the same form; shapes and dtypes must agree. Without it the form is
            that of the file: dicts, lists and tuples.
        convert: `convert(path, array)` makes a leaf of a NumPy array that shows the file's bytes, for instance
            puts it on devices; by default an array of the default backend.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is no checkpoint, of a newer version, damaged, or of another form than `like`.
    """
    return _read(path, lambda folder: _loaded(folder, like, convert))


def _loaded(folder: SteadyFolder, like: Any, convert: Callable[[str, np.ndarray], Any] | None) -> Any:
    index = _index(folder)
    held = {file: _file(folder, file) for file in index["files"][:_HELD]}
    wanted = None if like is None else tree.flatten(like)
    found: dict[str, Any] = {}
    for file in index["files"]:
        opened = held[file] if file in held else _file(folder, file)
        for name, array in _arrays(opened, os.path.join(folder.path, file)):
            if wanted is not None:
                _agree(name, array, wanted)
            found[name] = convert(name, array) if convert is not None else ops.convert_to_tensor(np.array(array))
    if wanted is None:
        return _of_form(index.get("form"), found)
    missing = [n for n in wanted if n not in found]
    if missing:
        raise ValueError(f"the checkpoint has no array for {missing[:8]}; it has {list(found)[:8]}")
    return jax.tree.unflatten(jax.tree.structure(like), [found[n] for n in wanted])


def describe(path: str | os.PathLike) -> dict[str, Any]:
    """The description of a checkpoint: version, definition, metadata, form, files.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is no checkpoint, of a newer version, or damaged.
    """
    return _read(path, _index)


def _read(path: str | os.PathLike, read: Callable[[SteadyFolder], Any]) -> Any:
    path = os.fspath(path)
    put_right(path)
    if not os.path.isdir(path):
        raise FileNotFoundError(f"{path!r} holds no checkpoint: there is no such folder")
    return of_one_save(path, read)


def _index(folder: SteadyFolder) -> dict[str, Any]:
    where = os.path.join(folder.path, _INDEX)
    try:
        file = folder.open(_INDEX)
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder.path!r} holds no checkpoint: there is no {_INDEX} in it") from None
    index = _parsed(file.read(min(os.fstat(file.fileno()).st_size, _TEXT_LIMIT) + 1), where)
    if index.get("format") != FORMAT or not isinstance(index.get("version"), int):
        raise ValueError(f"{where!r} does not describe a {FORMAT}")
    if index["version"] > VERSION:
        raise ValueError(f"{where!r} has version {index['version']}; this kfun reads up to {VERSION}: update kfun")
    files = index.get("files")
    if not isinstance(files, list) or not all(
        isinstance(f, str) and re.fullmatch(r"arrays-\d+\.safetensors", f) for f in files
    ):
        raise ValueError(f"{where!r} names files that are none of a checkpoint's: {files!r:.80}")
    return index


def load_definition(path: str | os.PathLike, objects: Mapping[str, Definition] | None = None) -> Definition:
    """The definition of the net that was saved; only registered definitions can be named.

    Args:
        path: of the folder.
        objects: `{registered name: definition}` to take for those that a file may not make, because they open other
            files or run foreign code (SavedModels, modules of other libraries).

    Raises:
        ValueError: if there is none, or it names what is not registered or may not be made from a file.
    """
    config = describe(path).get("definition")
    if config is None:
        raise ValueError(f"{os.fspath(path)!r} was saved without a definition")
    try:
        return from_config(config, objects)
    except (TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)!r}: the definition is damaged: {type(error).__name__}: {error}") from error


def _parsed(content: bytes, where: str) -> dict[str, Any]:
    if len(content) > _TEXT_LIMIT:
        raise ValueError(f"{where!r} is larger than {_TEXT_LIMIT:,} bytes, which is refused")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where!r} cannot be read ({error}): it is damaged") from error
    if not isinstance(found, dict):
        raise ValueError(f"{where!r} holds no object: it is damaged")
    return found


def _file(folder: SteadyFolder, name: str) -> Any:
    try:
        return folder.open(name)
    except FileNotFoundError:
        raise ValueError(f"{os.path.join(folder.path, name)!r} is missing: the checkpoint is not whole") from None


def _arrays(file: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a safetensors file, which show its bytes, after all was checked."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _TEXT_LIMIT):
        raise ValueError(f"{path!r} is cut off or damaged: its header has {length:,} bytes, the file {size:,}")
    header = _parsed(file.read(length), path)
    header.pop("__metadata__", None)
    start, end, checked = 8 + length, 0, []
    for name, entry in sorted(header.items(), key=lambda item: str(item[1])):
        checked.append((name, *_checked(path, name, entry)))
    for name, _, _, first, last in sorted(checked, key=lambda c: c[3]):
        if first != end:
            raise ValueError(f"{path!r}: the bytes of {name!r} overlap others or leave a gap: it is damaged")
        end = last
    if start + end != size:
        raise ValueError(f"{path!r} has {size - start:,} bytes of arrays, and says {end:,}: it is cut off or damaged")
    data = np.memmap(file, np.uint8, "r", offset=start) if end else np.zeros(0, np.uint8)
    for name, dtype, shape, first, last in checked:
        yield name, data[first:last].view(dtype).reshape(shape)


def _checked(path: str, name: str, entry: Any) -> tuple[np.dtype, tuple, int, int]:
    try:
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        first, last = entry["data_offsets"]
        numbers = (*shape, first, last)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path!r}: the entry of {name!r} is damaged ({error!r})") from error
    if not all(type(n) is int and n >= 0 for n in numbers) or last - first != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{path!r}: the entry of {name!r} contradicts itself: {entry!r:.120}")
    return dtype, shape, first, last


def _agree(name: str, array: np.ndarray, wanted: dict[str, Any]) -> None:
    if name not in wanted:
        raise ValueError(f"the checkpoint has an array {name!r} that is not in `like`; that has {list(wanted)[:8]}")
    shape, dtype = tuple(np.shape(wanted[name])), np.dtype(getattr(wanted[name], "dtype", array.dtype))
    if shape != array.shape or dtype != array.dtype:
        raise ValueError(f"{name!r} is {dtype}{list(shape)} in `like`, {array.dtype}{list(array.shape)} in the file")


def _of_form(form: Any, leaves: dict[str, Any]) -> Any:
    if not isinstance(form, dict) or len(form) != 1:
        raise ValueError("the checkpoint holds containers of classes: pass `like`, a tree of the same form")
    kind, inner = next(iter(form.items()))
    if kind == "none":
        return None
    if kind == "leaf" and isinstance(inner, str) and inner in leaves:
        return leaves[inner]
    if kind == "dict" and isinstance(inner, dict):
        return {k: _of_form(v, leaves) for k, v in inner.items()}
    if kind in ("list", "tuple") and isinstance(inner, list):
        items = [_of_form(v, leaves) for v in inner]
        return items if kind == "list" else tuple(items)
    raise ValueError(f"the checkpoint's form names {inner!r:.60}, of which it has no array: it is damaged")
