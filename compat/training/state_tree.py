"""The variables' values in nested dicts by path: what `get_state_tree` and `set_state_tree` do."""

from __future__ import annotations

from typing import Any


def by_path(kinds: dict[str, list], value_format: str) -> dict[str, dict]:
    """The values of variables by kind, `"backend_tensor"` or `"numpy_array"`.

    Raises:
        ValueError: if the format is unknown, or two variables of a kind have one path.
    """
    if value_format not in ("backend_tensor", "numpy_array"):
        raise ValueError(f"get_state_tree: expected 'backend_tensor' or 'numpy_array'; received {value_format!r}")
    found: dict[str, dict] = {}
    for kind, variables in kinds.items():
        tree: dict[str, Any] = {}
        seen = set()
        for variable in variables:
            if variable.path in seen:
                raise ValueError(
                    f"get_state_tree: several {kind} have the path {variable.path!r}; give layers other names"
                )
            seen.add(variable.path)
            *heads, last = variable.path.split("/")
            inner = tree
            for head in heads:
                inner = inner.setdefault(head, {})
            inner[last] = variable.value if value_format == "backend_tensor" else variable.numpy()
        found[kind] = tree
    return found


def set_by_path(kinds: dict[str, list], state_tree: dict[str, dict]) -> None:
    """Sets variables from what `by_path` gave.

    Raises:
        ValueError: if a kind or a path is unknown.
    """
    for kind, values in state_tree.items():
        if kind not in kinds:
            raise ValueError(f"set_state_tree: unknown kind {kind!r}; expected one of {sorted(kinds)}")
        variables = {v.path: v for v in kinds[kind]}
        for path, value in _flat(values).items():
            if path not in variables:
                raise ValueError(f"set_state_tree: {kind} has no {path!r}")
            variables[path].assign(value)


def _flat(tree: dict, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
