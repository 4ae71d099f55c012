"""Counts of changes, by which what was worked out of a model knows whether it still holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

ASSIGNMENTS = [0]  # how many there were, anywhere, of what can be a part of a layer
_to_built = [0]


def note_assignment() -> None:
    """A part of some layer may have come or gone."""
    ASSIGNMENTS[0] += 1


def note_change() -> None:
    """A layer that was built is changed: what programs were made of may not hold any more."""
    _to_built[0] += 1


def to_built_layers() -> int:
    """How many changes to layers that were built there were, anywhere."""
    return _to_built[0]


@functools.cache
def quiet_setter(cls: type) -> Callable[[Any, str, Any], None]:
    """`setattr` for those attributes of a new object that are no parts of it, and change nothing that is built.

    It goes past our own `__setattr__`, which would look for such in each of them, and not past one of the user's.
    """
    owner = next(c for c in cls.__mro__ if "__setattr__" in vars(c))
    return object.__setattr__ if owner.__module__.partition(".")[0] == "compat" else setattr
