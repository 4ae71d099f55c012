"""What a backup keeps of the other callbacks: the attributes that their classes name in `kept_in_backups`."""

from __future__ import annotations

import collections
import operator
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

PREFIX = "callback_"  # of the arrays' names


class State(NamedTuple):
    """What was kept of a callback."""

    of: tuple[str, int]  # the kind of the callback, and its place among those of the kind
    values: dict[str, Any]  # by attribute: None, a number, or a list of arrays


def keeping(callbacks: Iterable[Any]) -> Iterator[tuple[tuple[str, int], Any]]:
    """The callbacks that name attributes, each with its kind and its place among those of this kind."""
    seen: collections.Counter = collections.Counter()
    for callback in callbacks:
        if getattr(callback, "kept_in_backups", ()):
            kind = f"{type(callback).__name__}:{getattr(callback, 'monitor', '')}"
            yield (kind, seen[kind]), callback
            seen[kind] += 1


def written(callbacks: Iterable[Any]) -> tuple[list[dict], dict[str, np.ndarray]]:
    """The attributes as JSON data that say what there is, and arrays by name."""
    entries: list[dict] = []
    arrays: dict[str, np.ndarray] = {}
    for number, ((kind, place), callback) in enumerate(keeping(callbacks)):
        lengths: dict[str, int | None] = {}
        for name in callback.kept_in_backups:
            value = operator.attrgetter(name)(callback)
            if value is None:
                continue
            many = isinstance(value, (list, tuple))
            lengths[name] = len(value) if many else None
            parts = value if many else [[value]]
            arrays |= {_name(number, name, i): np.asarray(part) for i, part in enumerate(parts)}
        entries.append({"of": [kind, place], "lengths": lengths})
    return entries, arrays


def _name(number: int, attribute: str, part: int) -> str:
    return f"{PREFIX}{number}.{attribute}.{part}"


def read(entries: Any, arrays: dict[str, np.ndarray]) -> list[State]:
    """What `written` wrote.

    Raises:
        ValueError, TypeError, KeyError: if it did not write this.
    """
    found = []
    for number, entry in enumerate(entries):
        kind, place = entry["of"]
        values: dict[str, Any] = {}
        for name, length in entry["lengths"].items():
            if length is None:
                values[name] = arrays[_name(number, name, 0)].reshape(()).item()
            else:
                values[name] = [arrays[_name(number, name, i)] for i in range(min(length, len(arrays) + 1))]
        found.append(State((str(kind), int(place)), values))
    return found


def put_back(states: list[State], callbacks: Iterable[Any]) -> list[Any]:
    """Gives callbacks what was kept of them, and returns these; one that no state is of stays as it is."""
    known, kept = [], {state.of: state.values for state in states}
    for of, callback in keeping(callbacks):
        if of not in kept:
            continue
        for name in callback.kept_in_backups:
            owner, _, attribute = name.rpartition(".")
            setattr(operator.attrgetter(owner)(callback) if owner else callback, attribute, kept[of].get(name))
        known.append(callback)
    return known
