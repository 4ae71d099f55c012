"""Variables by their paths."""

from __future__ import annotations

from typing import Any


def by_path(variables: list, taken: Any = ()) -> dict:
    """Variables by path; equal paths are numbered."""
    found: dict[str, Any] = {}
    for variable in variables:
        path, n = variable.path, 0
        while path in found or path in taken:
            n += 1
            path = f"{variable.path}_{n}"
        found[path] = variable
    return found
