"""Functions over nested structures of lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def _leaf(x: Any) -> bool:
    return x is None


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dict."""
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list:
    """The leaves in order; None is a leaf."""
    return jax.tree.leaves(structure, is_leaf=_leaf)


def flatten_with_path(structure: Any) -> list:
    """`(path, leaf)` pairs, a path being a tuple of keys."""
    pairs = jax.tree_util.tree_flatten_with_path(structure, is_leaf=_leaf)[0]
    return [(tuple(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k))) for k in path), x) for path, x in pairs]


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """`func` of the leaves at each place."""
    return jax.tree.map(func, *structures, is_leaf=_leaf if none_is_leaf else None)


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """`func` of the subtrees at each leaf of a shallow structure."""
    treedef = jax.tree.structure(shallow_structure, is_leaf=_leaf)
    columns = [treedef.flatten_up_to(s) for s in structures]
    return jax.tree.unflatten(treedef, [func(*row) for row in zip(*columns, strict=True)])


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The structure with other leaves."""
    treedef = jax.tree.structure(structure, is_leaf=_leaf)
    leaves = list(flat_sequence)
    if len(leaves) != treedef.num_leaves:
        raise ValueError(f"the structure has {treedef.num_leaves} leaves; received {len(leaves)}")
    return jax.tree.unflatten(treedef, leaves)


def assert_same_structure(a: Any, b: Any) -> None:
    """Raises ValueError unless both have one structure."""
    first, second = (jax.tree.structure(t, is_leaf=_leaf) for t in (a, b))
    if first != second:
        raise ValueError(f"the structures differ: {first} and {second}")


def lists_to_tuples(structure: Any) -> Any:
    """Lists replaced by tuples, all the way down."""
    if isinstance(structure, (list, tuple)):
        return tuple(lists_to_tuples(s) for s in structure)
    return {k: lists_to_tuples(v) for k, v in structure.items()} if isinstance(structure, dict) else structure


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """Replaces subtrees for which `func` gives something else than None."""
    if top_down:
        new = func(structure)
        if new is not None:
            return new
    if isinstance(structure, dict):
        structure = {k: traverse(func, v, top_down) for k, v in structure.items()}
    elif isinstance(structure, (list, tuple)):
        structure = type(structure)(traverse(func, v, top_down) for v in structure)
    if not top_down:
        new = func(structure)
        return structure if new is None else new
    return structure
