"""Pytrees of arrays as `{path: array}` and back, in plain Python, which compilers can trace through.

None is an empty tree, so that what `kfun.tree.partition` left out stays left out. Containers other
than dict, list and tuple (structured arrays, modules) are taken apart as JAX has them registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kfun import ops, tree
from kfun.ops._kinds import Kind, default_kind, kind_of, kind_of_type


def flatten(nested: Any, path: str = "") -> dict[str, Any]:
    """The arrays by path, in the order of the containers; keys are joined by "/" as in `kfun.tree`."""
    found: dict[str, Any] = {}
    _collect(nested, path, found)
    return found


def _collect(nested: Any, path: str, found: dict[str, Any]) -> None:
    if nested is None:
        return
    parts = _children(nested)
    if parts is None:
        found[path] = nested
        return
    for key, part in parts:
        _collect(part, _join(path, key), found)


def _children(nested: Any) -> Iterable[tuple[Any, Any]] | None:
    """Keys and parts of a container; None for a leaf."""
    if type(nested) is dict:
        return nested.items()
    if isinstance(nested, (list, tuple)):
        return enumerate(nested)
    return tree.flatten(nested).items() if _is_node(nested) else None


def _is_node(value: Any) -> bool:
    """Whether a value other than dict, list and tuple is a container for JAX."""
    kind = kind_of_type(type(value))
    if isinstance(value, np.ndarray) or (isinstance(kind, Kind) and kind.priority == 0):
        return False
    return next(iter(tree.flatten(value).values()), None) is not value


def rebuild(like: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """A tree of the form of `like` with the values at its paths; None where there is no value."""
    if like is None:
        return None
    if type(like) is dict:
        return {k: rebuild(v, values, _join(path, k)) for k, v in like.items()}
    if isinstance(like, (list, tuple)):
        items = [rebuild(v, values, _join(path, i)) for i, v in enumerate(like)]
        if isinstance(like, list):
            return items
        return type(like)(*items) if hasattr(like, "_fields") else tuple(items)
    if _is_node(like):
        return tree.map_with_path(lambda part, _: values.get(_join(path, part)), like)
    return values.get(path)


def _join(path: str, key: Any) -> str:
    return f"{path}/{key}" if path else str(key)


def backend_of(arrays: Iterable[Any]) -> str:
    """The backend that scalars beside these arrays belong to."""
    return (kind_of(arrays, "optimizer") or default_kind()).name


def choose(pred: Any, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """`first()` or `second()`, trees of one form, of which the backend computes one only if it can."""
    order: list[str] = []
    form: list[Any] = []

    def flat(branch: Callable[[], Any]) -> Callable[[], list[Any]]:
        def arrays() -> list[Any]:
            result = branch()
            leaves = flatten(result)
            # Compilers return dicts with their keys sorted, so the branches may differ in the order of insertion.
            order[:] = sorted(leaves)
            form[:] = [rebuild(result, {path: path for path in order})]
            return [leaves[path] for path in order]

        return arrays

    chosen = ops.cond(pred, flat(first), flat(second))
    return rebuild(form[0], dict(zip(order, chosen, strict=True)))
