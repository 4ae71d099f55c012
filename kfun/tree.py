"""Functions over pytrees of parameters: select, freeze, replace, count, cast, convert.

A path is the keys joined by "/", as in `"encoder/dense_1/kernel"`; a pattern is a regular
expression that is searched for in the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kfun import ops
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops._kinds import kind_named
from kfun.precision import cast as cast


def path_of(keys: tuple) -> str:
    """The path of a JAX key path: keys, indices and field names joined by "/"."""
    parts = []
    for k in keys:
        parts.append(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))))
    return "/".join(parts)


def map_with_path(function: Callable[[str, Any], Any], tree: Any) -> Any:
    """`function(path, leaf)` of each leaf."""
    return jax.tree_util.tree_map_with_path(lambda keys, leaf: function(path_of(keys), leaf), tree)


def is_leaf(tree: Any) -> bool:
    """Whether a tree is one leaf, no container of any."""
    return jax.tree_util.all_leaves((tree,))


def flatten(tree: Any) -> dict[str, Any]:
    """All leaves by path, in order."""
    return {path_of(keys): leaf for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def select(tree: Any, pattern: str) -> dict[str, Any]:
    """The leaves whose path matches, by path."""
    return {path: leaf for path, leaf in flatten(tree).items() if re.search(pattern, path)}


def replace(tree: Any, changes: dict[str, Any]) -> Any:
    """The tree with the leaves at some paths replaced.

    Raises:
        ValueError: if a path is not in the tree, or a shape differs.
    """
    known = flatten(tree)
    for path, new in changes.items():
        if path not in known:
            raise ValueError(f"no leaf at {path!r}; the tree has {', '.join(list(known)[:20])}")
        if tuple(np.shape(new)) != tuple(known[path].shape):
            raise ValueError(f"{path!r} has shape {tuple(known[path].shape)}; received {tuple(np.shape(new))}")
    return map_with_path(changes.get, tree)


def rename(tree: Any, names: dict[str, str]) -> Any:
    """The tree with some keys of its dicts renamed, all at once, wherever they are.

    A checkpoint's params, and what an optimizer keeps for each of them, get the names of another net.

    Args:
        tree: nested dicts, lists and tuples, as `kfun.checkpoints.load` gives them.
        names: `{old: new}`; a path, as in `{"encoder/dense": "encoder/dense_1"}`, for a key inside of others alone.

    Raises:
        ValueError: if a name is nowhere, two keys of one dict get one name, or more than a path's last key changes.

    Example:
        >>> rename({"dense": 1, "dense_1": 2}, {"dense": "dense_1", "dense_1": "dense_2"})
        {'dense_1': 1, 'dense_2': 2}
    """
    for old, new in names.items():
        if old.rpartition("/")[0] != new.rpartition("/")[0]:
            raise ValueError(f"rename: only the last key of a path may change; received {old!r} to {new!r}")
    used: set[str] = set()
    renamed = _renamed(tree, names, "", used)
    if unused := set(names) - used:
        raise ValueError(f"rename: nothing is called {sorted(unused)}; the tree has {list(flatten(tree))[:20]}")
    return renamed


def _renamed(tree: Any, names: dict[str, str], path: str, used: set[str]) -> Any:
    if isinstance(tree, (list, tuple)):
        items = [_renamed(item, names, f"{path}/{i}", used) for i, item in enumerate(tree)]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if not isinstance(tree, dict):
        return tree
    made: dict = {}
    for key, value in tree.items():
        here = f"{path}/{key}"
        old = next((old for old in names if here.endswith(f"/{old}")), None)
        new = key if old is None else names[old].rpartition("/")[2]
        used |= set() if old is None else {old}
        if new in made:
            raise ValueError(f"rename: two keys inside of {path[1:]!r} would be called {new!r}")
        made[new] = _renamed(value, names, here, used)
    return made


def partition(tree: Any, pattern: str) -> tuple[Any, Any]:
    """Two trees of the same form: the leaves whose path matches, and the rest; None elsewhere.

    `combine` puts them together again, so that a gradient is taken with respect to one alone.
    """
    chosen = map_with_path(lambda p, leaf: leaf if re.search(pattern, p) else None, tree)
    rest = map_with_path(lambda p, leaf: None if re.search(pattern, p) else leaf, tree)
    return chosen, rest


def combine(first: Any, second: Any) -> Any:
    """One tree of two of the same form: a leaf of `first`, or of `second` where that is None."""
    return jax.tree.map(lambda a, b: b if a is None else a, first, second, is_leaf=lambda x: x is None)


def freeze(tree: Any, pattern: str) -> Any:
    """The tree with no gradient through the leaves whose path matches."""
    return map_with_path(lambda p, leaf: ops.stop_gradient(leaf) if re.search(pattern, p) else leaf, tree)


def count(tree: Any) -> int:
    """The number of elements of all leaves."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def size_in_bytes(tree: Any) -> int:
    """The memory of all leaves, in bytes."""
    return sum(int(np.prod(x.shape)) * to_numpy(x).dtype.itemsize for x in jax.tree.leaves(tree))


def to_numpy(tree: Any) -> Any:
    """Every array as a NumPy array on the host."""
    return jax.tree.map(ops.convert_to_numpy, tree)


def convert(tree: Any, backend: str) -> Any:
    """Every array as one of another backend: `"jax"`, `"torch"`, `"tensorflow"`, `"numpy"`."""
    kind = kind_named(backend)
    return jax.tree.map(lambda x: kind.convert(ops.convert_to_numpy(x)), tree)


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
