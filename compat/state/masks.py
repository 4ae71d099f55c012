"""Masks that travel with arrays: their attribute `_keras_mask`, or a side table for those that take no attributes."""

from __future__ import annotations

import weakref
from typing import Any

_masks: dict[int, tuple[Any, Any]] = {}


def get(x: Any) -> Any:
    """The mask that came with `x`, or None."""
    mask = getattr(x, "_keras_mask", None)
    if mask is not None or not _masks:
        return mask
    entry = _masks.get(id(x))
    return entry[1] if entry is not None and entry[0]() is x else None


def put(x: Any, mask: Any) -> None:
    """Attaches a mask to `x`, for as long as `x` lives."""
    try:
        x._keras_mask = mask
        return
    except AttributeError:  # arrays of NumPy, and tracers
        key = id(x)
    _masks[key] = (weakref.ref(x, lambda _: _masks.pop(key, None)), mask)


def of(tree: Any) -> Any:
    """The masks of an array, or of each in a list, tuple or dict."""
    if isinstance(tree, (list, tuple)):
        found = [of(t) for t in tree]
        return type(tree)(found) if any(m is not None for m in found) else None
    if isinstance(tree, dict):
        found = {k: of(v) for k, v in tree.items()}
        return found if any(m is not None for m in found.values()) else None
    return get(tree)
