"""Weights in several files: `NAME.weights.json` says which `NAME_00000.weights.h5` ... hold what."""

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
from compat.saving.stores import Entry, group_of, walk
from kfun.atomic import atomic_file

INDEX = ".weights.json"


def write(root: Any, path: str, max_shard_size: float, skipped: Iterable[Any] | None = None) -> None:
    """Writes all variables under `root` but those of `skipped` to files of at most `max_shard_size` GB each.

    The index comes last.

    Raises:
        ValueError: if one variable alone is larger.
    """
    stem = path.removesuffix(INDEX).removesuffix(".weights.h5")
    with contextlib.ExitStack() as files:
        writer = _Writer(stem, int(max_shard_size * (1 << 30)), files)
        for inner, obj in walk(root, skipped):
            if hasattr(obj, "save_own_variables"):
                obj.save_own_variables(_Sharded(writer, f"{inner}/vars" if inner else "vars"))
    index = {"metadata": {"total_size": writer.total}, "weight_map": writer.places}
    with atomic_file(f"{stem}{INDEX}") as file:
        file.write(json.dumps(index, indent=4).encode())


class _Writer:
    """Opens the next file when the present one is full."""

    def __init__(self, stem: str, limit: int, files: contextlib.ExitStack):
        self.stem, self.limit, self.files = stem, limit, files
        self.places: dict[str, list[str]] = {}
        self.total = self.number = self.size = 0
        self.open()

    def open(self) -> None:
        self.name = f"{os.path.basename(self.stem)}_{self.number:05d}.weights.h5"
        self.number, self.size = self.number + 1, 0
        target = os.path.join(os.path.dirname(self.stem), self.name)
        self.file = self.files.enter_context(h5py.File(self.files.enter_context(atomic_file(target)), "w"))

    def put(self, group: str, key: str, value: np.ndarray) -> None:
        if value.nbytes > self.limit:
            raise ValueError(
                f"max_shard_size allows {self.limit:,} bytes a file; variable {key} of {group!r} has {value.nbytes:,}"
            )
        if self.size + value.nbytes > self.limit:
            self.open()
        self.size, self.total = self.size + value.nbytes, self.total + value.nbytes
        files = self.places.setdefault(f"/{group}", [])
        if self.name not in files:
            files.append(self.name)
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
    with open(path, "rb") as file:
        index = parse(os.path.basename(path), file.read())
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict):
        raise ValueError(f"{path!r} is no index of weight files: it has no weight_map")
    folder, stem = os.path.dirname(path), os.path.basename(path).removesuffix(INDEX)
    with contextlib.ExitStack() as files:
        known: dict[str, Any] = {}

        def shard(name: Any) -> Any:
            if name not in known:
                known[name] = files.enter_context(_shard(folder, stem, name))
            return known[name]

        def groups(inner: str) -> list[Any]:
            names = places.get(f"/{inner}", [])
            found = [group_of(shard(n), inner) for n in ([names] if isinstance(names, str) else names)]
            return [g for g in found if g is not None]

        yield groups


def _shard(folder: str, stem: str, name: Any) -> Any:
    where = os.path.join(folder, str(name))
    if not isinstance(name, str) or not re.fullmatch(rf"{re.escape(stem)}_\d+\.weights\.h5", name):
        raise ValueError(f"the index names {name!r}, which is none of its own files: refused")
    if not os.path.isfile(where) or os.path.islink(where):
        raise ValueError(f"the weights are not whole: the file {name!r} is missing or a link")
    try:
        return h5py.File(where, "r")
    except OSError as error:
        raise ValueError(f"{name!r} cannot be read ({error}): it is damaged or not HDF5") from error
