"""Pytrees of arrays as `{path: array}` and back, in plain Python, which compilers can trace through.

None is an empty tree, so that what `kfun.tree.partition` left out stays left out. Containers other
than dict, list and tuple (structured arrays, modules) are taken apart as JAX has them registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kfun import ops, tree
from kfun.ops._kinds import Kind, backend, default_kind, kind_of, kind_of_type


def flatten(nested: Any, path: str = "") -> dict[str, Any]:
    """The arrays by path, in the order of the containers; keys are joined by "/" as in `kfun.tree`."""
    parts = _parts(nested)
    if parts is None:
        return {path: nested}
    found: dict[str, Any] = {}
    for key, part in parts:
        found |= flatten(part, join(path, key))
    return found


def _parts(nested: Any) -> Iterable[tuple[Any, Any]] | None:
    """Keys and parts of a container; None for an array."""
    if nested is None:
        return ()
    if type(nested) is dict:
        return nested.items()
    if isinstance(nested, (list, tuple)):
        return enumerate(nested)
    kind = kind_of_type(type(nested))
    if isinstance(nested, np.ndarray) or (isinstance(kind, Kind) and kind.priority == 0):
        return None
    return None if tree.is_leaf(nested) else tree.flatten(nested).items()


def rebuild(like: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """A tree of the form of `like` with the values at its paths; None where there is no value."""
    parts = _parts(like)
    if parts is None:
        return values.get(path)
    made = {key: rebuild(part, values, join(path, key)) for key, part in parts}
    if like is None or type(like) is dict:
        return None if like is None else made
    if isinstance(like, (list, tuple)):
        return type(like)(*made.values()) if hasattr(like, "_fields") else type(like)(made.values())
    return tree.map_with_path(lambda part, _: made[part], like)


def join(path: str, key: Any) -> str:
    """The path of what is at `key` of what is at `path`."""
    return f"{path}/{key}" if path and key != "" else f"{path}{key}"


def map_arrays(function: Callable[..., Any], like: Any, *others: Any) -> Any:
    """A tree of the form of `like`: the function of each of its arrays and of those of the others, None if missing."""
    flat = [flatten(other) for other in others]
    return rebuild(like, {path: function(x, *(f.get(path) for f in flat)) for path, x in flatten(like).items()})


def zeros_like(params: Any) -> Any:
    """A tree of zeros of the form, shapes and dtypes of `params`."""
    return map_arrays(ops.zeros_like, params)


def scalars_beside(params: Any, **values: float) -> dict[str, Any]:
    """Scalars, int32 or float32 as the values are, of the backend of the params."""
    kind = kind_of(flatten(params).values(), "optimizer") or default_kind()
    with backend(kind.name):
        return {n: ops.full((), v, "int32" if isinstance(v, int) else "float32") for n, v in values.items()}


def choose(pred: Any, first: Callable[[], Any], second: Callable[[], Any], like: Any) -> Any:
    """`first()` or `second()`, trees of the form of `like`, of which the backend computes one only if it can."""
    paths = list(flatten(like))

    def flat(branch: Callable[[], Any]) -> Callable[[], list[Any]]:
        def arrays() -> list[Any]:
            found = flatten(branch())
            return [found[path] for path in paths]

        return arrays

    return rebuild(like, dict(zip(paths, ops.cond(pred, flat(first), flat(second)), strict=True)))
