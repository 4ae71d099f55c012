"""Checkpoints: a folder with a JSON description and safetensors files, for any pytree of arrays.

`checkpoint.json` has the version of the layout, the tree's form, the definition of the net if there is
one, which leaves are keys, and what the user adds; `arrays-00000.safetensors`, ... have the arrays by
path. Arrays are written and read one at a time, so that no second copy of a model is ever in memory.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kfun import checkpoint_names, ops, safetensors, tree
from kfun.atomic import atomic_folder
from kfun.definition import Definition, from_config
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.folders import SteadyFolder, of_one_save, put_right

FORMAT, VERSION = "kfun-checkpoint", 2
_WITHOUT_KEYS = 1  # the version that a tree without typed keys is written as, which older readers know
_INDEX = "checkpoint.json"
_HELD = 256  # files that are open from the start, so that they can be read though a save replaces the folder


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
        values: the pytree; its leaves are arrays of any framework, keys of `jax.random.key`, or numbers, which are
            written as NumPy's int64 and float64.
        definition: of the net, which `load_definition` makes again.
        metadata: JSON data of the user's.
        max_shard_size: bytes of arrays in one file.
        overwrite: whether a folder that is there is replaced.

    Raises:
        FileExistsError: if there is one and `overwrite` is False.
        ValueError: if a leaf is no array of numbers, two leaves have one path, or what was written would not load.
    """
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{os.fspath(path)!r} exists; pass overwrite=True to replace it")
    leaves = tree.flatten(values)
    if len(leaves) != len(jax.tree.leaves(values)):
        raise ValueError("checkpoint: two leaves have the same path: do not use '/' in the names of a tree")
    keys = {name: str(jax.random.key_impl(leaf)) for name, leaf in leaves.items() if _is_key(leaf)}
    leaves = {name: jax.random.key_data(leaf) if name in keys else leaf for name, leaf in leaves.items()}
    entries = {name: safetensors.entry(name, leaf) for name, leaf in leaves.items()}
    with atomic_folder(os.fspath(path)) as folder:
        files: dict[str, list[str]] = {}
        for names in _shards(entries, max_shard_size):
            file = f"arrays-{len(files):05d}.safetensors"
            files[file] = names
            safetensors.write(os.path.join(folder, file), {n: entries[n] for n in names}, leaves)
        index = {
            "format": FORMAT, "version": VERSION if keys else _WITHOUT_KEYS, "metadata": metadata,
            "form": _form(values, ()),
            "definition": None if definition is None else definition.to_config(), "files": list(files),
            **({"keys": keys} if keys else {}),
        }  # fmt: skip
        with open(os.path.join(folder, _INDEX), "w", encoding="utf-8") as file:
            json.dump(index, file)
        _read_back(folder, files)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _read_back(folder: str, files: dict[str, list[str]]) -> None:
    """Raises ValueError if the descriptions in a folder are not what `load` takes."""
    with SteadyFolder(folder) as written:
        _index(written)
        for file, names in files.items():
            path = os.path.join(folder, file)
            found = [entry[0] for entry in safetensors.header(_file(written, file), path)[0]]
            if sorted(found) != sorted(names):
                raise ValueError(f"checkpoint: {path!r} has the arrays {found[:8]}, where {names[:8]} were written")


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


def _form(values: Any, keys: tuple) -> Any:
    """The tree as JSON, a path in place of each leaf; None for what only `like` can make again."""
    if type(values) is dict and all(isinstance(k, str) for k in values):
        return {"dict": {k: _form(v, (*keys, k)) for k, v in values.items()}}
    if type(values) in (list, tuple):
        return {type(values).__name__: [_form(v, (*keys, i)) for i, v in enumerate(values)]}
    if values is None:
        return {"none": None}
    return {"leaf": "/".join(map(str, keys))} if jax.tree_util.all_leaves([values]) else None


def load(
    path: str | os.PathLike,
    like: Any = None,
    convert: Callable[[str, np.ndarray], Any] | None = None,
    *,
    definition: Definition | None = None,
) -> Any:
    """Reads a checkpoint. Nothing in it is executed.

    Args:
        path: of the folder.
        like: a pytree of arrays or specs of the same form; shapes and dtypes must agree. Without it the form is
            that of the file: dicts, lists and tuples.
        convert: `convert(path, array)` makes a leaf of a NumPy array that shows the file's bytes, for instance
            puts it on devices; by default an array of the default backend. Of a key it has the data, and its result
            is made a key.
        definition: of the net that the arrays are for. If the file was saved with its definition, a warning tells
            which layers without a name are others now: shapes alone do not show that two of one size changed places.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is no checkpoint, of a newer version, damaged, or of another form than `like`; of layers
            that were renamed by others before them it says which are which.
    """
    return _read(path, lambda folder: _loaded(folder, like, convert, definition))


def _loaded(
    folder: SteadyFolder, like: Any, convert: Callable[[str, np.ndarray], Any] | None, definition: Definition | None
) -> Any:
    index = _index(folder)
    if definition is not None:
        _compare(index.get("definition"), definition)
    held = {file: _file(folder, file) for file in index["files"][:_HELD]}
    keys = index.get("keys", {})
    wanted = None if like is None else tree.flatten(like)
    found: dict[str, Any] = {}
    for file in index["files"]:
        opened = held[file] if file in held else _file(folder, file)
        for name, array in safetensors.arrays(opened, os.path.join(folder.path, file)):
            if name in found:
                raise ValueError(f"the checkpoint has the array {name!r} twice: it is damaged")
            if wanted is not None:
                try:
                    _agree(name, array, wanted, keys.get(name))
                except ValueError as error:
                    raise ValueError(f"{error}{_hint(folder, index, wanted)}") from None
            found[name] = _leaf(name, array, keys.get(name), convert)
    if wanted is None:
        return _of_form(index.get("form"), found)
    missing = [n for n in wanted if n not in found]
    if missing:
        said = f"the checkpoint has no array for {missing[:8]}; it has {list(found)[:8]}"
        raise ValueError(f"{said}{_hint(folder, index, wanted)}")
    return jax.tree.unflatten(jax.tree.structure(like), [found[n] for n in wanted])


def _compare(saved: Any, definition: Definition) -> None:
    if saved is None:
        return
    changed = checkpoint_names.changed(saved, definition.to_config())
    if changed:
        warnings.warn(
            f"the checkpoint was saved with another net: {'; '.join(changed[:4])}. Layers without a name are counted, "
            "so that one that is inserted takes the name and the weights of the next: give them names that stay, name=",
            stacklevel=7,  # whoever called `load`
        )


def _hint(folder: SteadyFolder, index: dict[str, Any], wanted: dict[str, Any]) -> str:
    shapes: dict[str, tuple] = {}
    for file in index["files"]:
        arrays = safetensors.arrays(_file(folder, file), os.path.join(folder.path, file))
        shapes |= {name: tuple(array.shape) for name, array in arrays}
    return checkpoint_names.hint(shapes, {name: tuple(np.shape(leaf)) for name, leaf in wanted.items()})


def _leaf(name: str, array: np.ndarray, key: str | None, convert: Callable[[str, np.ndarray], Any] | None) -> Any:
    if key is None:
        return ops.convert_to_tensor(np.array(array)) if convert is None else convert(name, array)
    data: Any = np.array(array) if convert is None else convert(name, array)
    try:
        return jax.random.wrap_key_data(data, impl=key)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name!r} cannot be made a key of the kind {key!r:.40}: {error}") from error


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
    index = safetensors.parsed(file.read(min(os.fstat(file.fileno()).st_size, safetensors.TEXT_LIMIT) + 1), where)
    if index.get("format") != FORMAT or not isinstance(index.get("version"), int):
        raise ValueError(f"{where!r} does not describe a {FORMAT}")
    if index["version"] > VERSION:
        raise ValueError(f"{where!r} has version {index['version']}; this kfun reads up to {VERSION}: update kfun")
    files = index.get("files")
    if not isinstance(files, list) or not all(
        isinstance(f, str) and re.fullmatch(r"arrays-\d+\.safetensors", f) for f in files
    ):
        raise ValueError(f"{where!r} names files that are none of a checkpoint's: {files!r:.80}")
    if len(set(files)) != len(files):
        raise ValueError(f"{where!r} names a file twice: it is damaged")
    keys = index.get("keys", {})
    if not isinstance(keys, dict) or not all(isinstance(kind, str) for kind in keys.values()):
        raise ValueError(f"{where!r} has keys whose kinds are no names: it is damaged")
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
    except (ImportError, OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"{os.fspath(path)!r}: the definition is damaged: {type(error).__name__}: {error}") from error


def _file(folder: SteadyFolder, name: str) -> Any:
    try:
        return folder.open(name)
    except FileNotFoundError:
        raise ValueError(f"{os.path.join(folder.path, name)!r} is missing: the checkpoint is not whole") from None


def _agree(name: str, array: np.ndarray, wanted: dict[str, Any], key: str | None) -> None:
    if name not in wanted:
        raise ValueError(f"the checkpoint has an array {name!r} that is not in `like`; that has {list(wanted)[:8]}")
    shape, inside = array.shape, array.dtype.name
    if key is not None:
        shape, inside = shape[:-1], f"key<{key}>"
    like = (tuple(np.shape(wanted[name])), _dtype(wanted[name], inside))
    if like != (shape, inside):
        raise ValueError(f"{name!r} is {like[1]}{list(like[0])} in `like`, {inside}{list(shape)} in the file")


def _dtype(leaf: Any, default: str) -> str:
    """The name of a leaf's dtype; a Python number takes any."""
    if not hasattr(leaf, "dtype"):
        return default
    if _is_key(leaf):
        return f"key<{jax.random.key_impl(leaf)}>"
    return safetensors.dtype_name(leaf.dtype)


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


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
