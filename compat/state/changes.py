"""Counts of changes, by which what was worked out of a model knows whether it still holds."""

from __future__ import annotations

_assignments = [0]
_to_built = [0]


def note_assignment() -> None:
    """A part of some layer may have come or gone."""
    _assignments[0] += 1


def assignments() -> int:
    """How many assignments of what can be a part of a layer there were, anywhere."""
    return _assignments[0]


def note_change() -> None:
    """A layer that was built is changed: what programs were made of may not hold any more."""
    _to_built[0] += 1


def to_built_layers() -> int:
    """How many changes to layers that were built there were, anywhere."""
    return _to_built[0]
