"""How axes are spelt, for the frameworks that take what NumPy takes."""

from __future__ import annotations

from typing import Any


def settled(axis: Any) -> Any:
    """An int, None or a tuple of axes: a list, which NumPy and JAX refuse, as a tuple."""
    return tuple(axis) if isinstance(axis, list) else axis
