"""Pytrees in plain Python, which compilers can trace through.

Containers are dict, list, tuple, named tuple, None, and dataclasses that name their `children`
(`kfun.arrays`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


def tree_map(f: Callable, tree: Any, *others: Any) -> Any:
    """`f` of each leaf of `tree` and the leaves at the same places of `others`; None is an empty tree."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {k: tree_map(f, v, *(o[k] for o in others)) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
        return rebuild(tree, items)
    if _is_structured(tree):
        parts = {n: tree_map(f, getattr(tree, n), *(getattr(o, n) for o in others)) for n in tree.children}
        return dataclasses.replace(tree, **parts)
    return f(tree, *others)


def _is_structured(tree: Any) -> bool:
    return dataclasses.is_dataclass(tree) and hasattr(type(tree), "children")


def rebuild(like: list | tuple, items: list) -> Any:
    """`items` in a list, tuple or named tuple of the class of `like`."""
    if isinstance(like, list):
        return items
    return type(like)(*items) if hasattr(like, "_fields") else tuple(items)


def leaves(tree: Any) -> list:
    """The leaves of a tree in order."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in leaves(part)]
    if _is_structured(tree):
        return [leaf for name in tree.children for leaf in leaves(getattr(tree, name))]
    return [tree]


def fill(tree: Any, values: Any) -> Any:
    """A tree of the structure of `tree` with its leaves taken from the iterator `values` in order."""
    return tree_map(lambda _: next(values), tree)


def spread(prefix: Any, tree: Any) -> list:
    """One value for each leaf of `tree` from a prefix tree, such as the axes given to `vmap`.

    A value of the prefix that is no container stands for all leaves below its place.

    Raises:
        ValueError: if the prefix has another structure.
    """
    if isinstance(prefix, dict) and isinstance(tree, dict) and prefix.keys() == tree.keys():
        return [v for k in tree for v in spread(prefix[k], tree[k])]
    if isinstance(prefix, (list, tuple)) and isinstance(tree, (list, tuple)) and len(prefix) == len(tree):
        return [v for p, t in zip(prefix, tree, strict=True) for v in spread(p, t)]
    if isinstance(prefix, (dict, list, tuple)):
        raise ValueError(f"expected a prefix of the tree {tree!r}; received {prefix!r}")
    return [prefix] * len(leaves(tree))
