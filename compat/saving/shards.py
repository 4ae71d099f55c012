"""Weights in several files: `NAME.weights.json` says which `NAME_save-0123abcd_00000.weights.h5` ... hold what.

The eight hexadecimal digits are of one save alone, so that the index, which is replaced last, never names files of two
saves. Keras writes `NAME_00000.weights.h5`, ... and reads the other names too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np

from compat.saving.archives import parse
from compat.saving.hdf5 import opened as opened_file
from compat.saving.stores import Entry, walk
from kfun.atomic import beside, sweep

INDEX = ".weights.json"
_MOST_INDEX = 64 << 20  # bytes
_TRIES = 100  # to open an index and its files while saves go on


def write(root: Any, path: str, max_shard_size: float, skipped: Iterable[Any] | None = None) -> None:
    """Writes all variables under `root` but those of `skipped` to files of at most `max_shard_size` GB each.

    The files have names of this save alone, and the index is replaced last: whoever reads has all of one save. The
    files of former saves from here go then. Those that an index of Keras names stay, because it may come from a
    stranger, and name what is somebody's own; only the first one is emptied, as Keras replaces it too.

    Raises:
        ValueError: if one variable alone is larger.
    """
    stem = path.removesuffix(INDEX).removesuffix(".weights.h5")
    target, (folder, name) = f"{stem}{INDEX}", os.path.split(stem)
    with_first = _is_run(stem, _named(target) or set())
    try:
        with beside(target) as unfinished:
            writer = _Writer(unfinished, f"{name}_save-{_mark(unfinished)}", int(max_shard_size * (1 << 30)))
            with contextlib.closing(writer):
                for inner, obj in walk(root, skipped):
                    if hasattr(obj, "save_own_variables"):
                        obj.save_own_variables(_Sharded(writer, f"{inner}/vars" if inner else "vars"))
            for file in writer.names:
                os.replace(os.path.join(unfinished, file), os.path.join(folder, file))
            if not os.path.lexists(_first(stem)):
                _write_first(unfinished, stem)
            index = {"metadata": {"total_size": writer.total}, "weight_map": writer.places}
            with open(os.path.join(unfinished, "index"), "x", encoding="utf-8") as file:
                json.dump(index, file, indent=4)
            os.replace(file.name, target)
    finally:
        _sweep(stem, with_first)


def _is_run(stem: str, names: set[str]) -> bool:
    """Whether names are those of all files of a save by Keras, which are there."""
    folder, name = os.path.split(stem)
    run = {f"{name}_{i:05d}.weights.h5" for i in range(len(names))}
    return bool(names) and names == run and all(os.path.isfile(os.path.join(folder, file)) for file in run)


def _mark(unfinished: str) -> str:
    return unfinished[-8:]


def _first(stem: str) -> str:
    return f"{stem}_00000.weights.h5"


def _write_first(unfinished: str, stem: str) -> None:
    """An empty file, because Keras opens the one of this name before it looks into the index."""
    temporary = os.path.join(unfinished, "first")
    h5py.File(temporary, "w").close()
    os.replace(temporary, _first(stem))


def _named(target: str) -> set[str] | None:
    """The files of its own that an index names; None if there is no index, or a damaged one."""
    try:
        places = _places(target).values()
    except (OSError, ValueError):
        return None
    names = {name for entry in places for name in _listed(entry) if isinstance(name, str)}
    return {name for name in names if _is_own(os.path.basename(target), name)}


def _listed(entry: Any) -> list[Any]:
    return entry if isinstance(entry, list) else [entry]


def _is_own(index: str, name: str) -> bool:
    """Whether a file's name is one that an index of that name gives: Keras's, or one with the mark of a save."""
    stem = re.escape(index.removesuffix(INDEX))
    return re.fullmatch(rf"{stem}_(?:save-[0-9a-f]{{8}}_)?\d+\.weights\.h5", name) is not None


def _sweep(stem: str, with_first: bool) -> None:
    """Removes files of former and killed saves, but nothing that is or will be in the index.

    The order is what makes that true: files that are seen first and whose save is not under way any more are in the
    index that is read last, or in none that is to come.

    Args:
        stem: of the index and its files.
        with_first: whether the first file of Keras's is emptied, unless the index still names it.
    """
    target, (folder, name) = f"{stem}{INDEX}", os.path.split(stem)
    with_mark = re.compile(rf"{re.escape(name)}_save-([0-9a-f]{{8}})_\d+\.weights\.h5")
    marks = {file: found[1] for file in os.listdir(folder or ".") if (found := with_mark.fullmatch(file))}
    under_way = {_mark(unfinished) for unfinished in sweep(target)}
    present = _named(target)
    if present is None:
        return
    for file in {file for file in marks if marks[file] not in under_way} - present:
        with contextlib.suppress(OSError):  # a concurrent save was quicker, or someone has it open
            os.remove(os.path.join(folder, file))
    if with_first and os.path.basename(_first(stem)) not in present:
        with beside(target) as unfinished:
            _write_first(unfinished, stem)


class _Writer:
    """Writes files into a folder; opens the next one when the present one is full."""

    def __init__(self, folder: str, stem: str, limit: int):
        self.folder, self.stem, self.limit = folder, stem, limit
        self.places: dict[str, list[str]] = {}
        self.names: list[str] = []
        self.total = self.size = 0
        self.file: Any = None
        self.open()

    def open(self) -> None:
        self.close()
        self.names.append(f"{self.stem}_{len(self.names):05d}.weights.h5")
        self.size = 0
        self.file = h5py.File(os.path.join(self.folder, self.names[-1]), "w")

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def put(self, group: str, key: str, value: np.ndarray) -> None:
        if value.nbytes > self.limit:
            raise ValueError(
                f"max_shard_size allows {self.limit:,} bytes a file; variable {key} of {group!r} has {value.nbytes:,}"
            )
        if self.size + value.nbytes > self.limit:
            self.open()
        self.size, self.total = self.size + value.nbytes, self.total + value.nbytes
        files = self.places.setdefault(f"/{group}", [])
        if self.names[-1] not in files:
            files.append(self.names[-1])
        Entry(self.file.require_group(group))[key] = value


class _Sharded:
    """The variables of one object, as `save_own_variables` writes them."""

    def __init__(self, writer: _Writer, group: str):
        self.writer, self.group = writer, group

    def __setitem__(self, key: str, value: Any) -> None:
        self.writer.put(self.group, key, np.asarray(value))


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """A function that gives the groups of an object's path, in the files that the index names.

    Raises:
        ValueError: if the index is damaged, or names files that are not its own.
    """
    with contextlib.ExitStack() as files:
        places, known = _one_save(path, files)

        def shard(name: Any) -> Any:
            if not isinstance(name, str) or name not in known:
                known[name] = files.enter_context(_shard(path, name))
            return known[name]

        def groups(inner: str) -> list[Any]:
            found = [shard(name).group(inner) for name in _once_each(inner, _listed(places.get(f"/{inner}", [])))]
            return [g for g in found if g is not None]

        yield groups


def _once_each(inner: str, names: list[Any]) -> list[Any]:
    if len({str(name) for name in names}) != len(names):
        raise ValueError(f"the index names a file for {inner!r} twice, which is refused")
    return names


def _one_save(path: str, files: contextlib.ExitStack) -> tuple[dict[str, Any], dict[Any, Any]]:
    """What the index says, and its files, open before a concurrent save removes them: all of one save.

    A file that cannot be opened is left out: that is told when it is needed.
    """
    places: dict[str, Any] = {}
    known: dict[Any, Any] = {}
    for _ in range(_TRIES):
        files.pop_all().close()
        places, known = _places(path), {}
        present = set(os.listdir(os.path.dirname(path) or "."))
        names = {name for entry in places.values() for name in _listed(entry) if isinstance(name, str)}
        for name in names & present:
            with contextlib.suppress(ValueError, FileNotFoundError):
                known[name] = files.enter_context(_shard(path, name))
        named = _named(path)
        if named is None or named <= known.keys() or places == _places(path):
            break
    return places, known


def _places(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        index = parse(os.path.basename(path), file.read(min(os.fstat(file.fileno()).st_size, _MOST_INDEX) + 1))
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict):
        raise ValueError(f"{path!r} is no index of weight files: it has no weight_map")
    return places


def _shard(path: str, name: Any) -> Any:
    where = os.path.join(os.path.dirname(path), str(name))
    if not isinstance(name, str) or not _is_own(os.path.basename(path), name):
        raise ValueError(f"the index names {name!r}, which is none of its own files: refused")
    if not os.path.isfile(where) or os.path.islink(where):
        raise ValueError(f"the weights are not whole: the file {name!r} is missing or a link")
    return opened_file(where)
