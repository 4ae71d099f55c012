"""Paths of variables in Orbax checkpoints: made when saving, found again when reading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_LONGEST = 4096  # letters of a variable's path


def numbered(variables: list[Any]) -> Iterator[tuple[Any, list[str]]]:
    """Each variable with the parts of its path, numbered so that none is another's or begins it."""
    used: set[str] = set()
    begun: set[str] = set()  # what used paths begin with
    folders: dict[str, int] = {}
    names: dict[str, int] = {}
    for variable in variables:
        *parents, last = variable.path.split("/")
        inner = ""
        for part in parents:
            folder = _free(f"{inner}{part}", folders, used)
            begun.add(folder)
            inner = f"{folder}/"
        path = _free(f"{inner}{last}", names, used, begun)
        used.add(path)
        yield variable, path.split("/")


def _free(path: str, numbers: dict[str, int], *taken: set[str]) -> str:
    """A path, with the next number if it is taken; what was taken stays so, and is not tried again."""
    n = numbers.get(path, 0)
    found = f"{path}_{n}" if n else path
    while any(found in other for other in taken):
        n += 1
        found = f"{path}_{n}"
    numbers[path] = n
    return found


class Nearest:
    """Finds the path of a variable in a checkpoint, whose model may have stood under another name.

    A path is near another that it ends with, up to a "/" or "_". Optimizers, which have names of their own,
    join the paths of weights by "_" into one name, so that `by_name` the last part decides if the whole does not.
    """

    def __init__(self, stored: dict[str, Any], by_name: bool):
        self.stored = stored
        self.indices = [_by_ending({path: [path] for path in stored})]
        if by_name:
            names: dict[str, list[str]] = {}
            for path in stored:
                names.setdefault(path.rpartition("/")[2], []).append(path)
            self.indices.append(_by_ending(names))

    def to(self, path: str) -> str | None:
        """The only path in the checkpoint that is the same or near, None if there is none."""
        if path in self.stored:
            return path
        for (whole, endings), key in zip(self.indices, (path, path.rpartition("/")[2]), strict=False):
            found = [other for name in _endings(key) for other in whole.get(name, ())] + endings.get(key, [])
            if len(found) == 1:
                return found[0]
        return None


def _by_ending(names: dict[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Paths by their name, and by what their name ends with."""
    endings: dict[str, list[str]] = {}
    for name, paths in names.items():
        for ending in _endings(name)[1:]:
            endings.setdefault(ending, []).extend(paths)
    return names, endings


def _endings(name: str) -> list[str]:
    """A name and what it ends with after each "/" and "_"."""
    if len(name) > _LONGEST:
        raise ValueError(f"a variable's path has {len(name):,} letters, more than {_LONGEST:,}: {name[:80]!r}...")
    return [name, *(name[found.end() :] for found in re.finditer("[/_]", name))]
