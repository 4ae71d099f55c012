"""Functions over nested structures of lists, tuples, dicts and deques; all else, None included, is a leaf."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from kfun.errors import unknown_names_of as _unknown_names_of

_CONTAINERS = (list, tuple, dict, deque)


class MAP_TO_NONE:
    """What a function given to `traverse` returns (the class itself) where None is to stand."""


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple, dict or deque."""
    return isinstance(structure, _CONTAINERS)


def _keys(structure: dict) -> list:
    """The keys in the order of the leaves: sorted, but an OrderedDict's own."""
    return list(structure) if isinstance(structure, OrderedDict) else sorted(structure)


def _items(structure: Any) -> list[tuple[Any, Any]]:
    if isinstance(structure, dict):
        return [(k, structure[k]) for k in _keys(structure)]
    return list(enumerate(structure))


def _like(container: Any, parts: Iterable[Any]) -> Any:
    """A container of the same type around other parts, which come in the order of `_items`."""
    if isinstance(container, dict):
        made = dict(zip(_keys(container), parts, strict=True))
        pairs = [(k, made[k]) for k in container]
        if isinstance(container, defaultdict):
            return defaultdict(container.default_factory, pairs)
        return type(container)(pairs)
    if hasattr(container, "_fields"):
        return type(container)(*parts)
    return deque(parts, container.maxlen) if isinstance(container, deque) else type(container)(parts)


def flatten(structure: Any) -> list:
    """The leaves in order."""
    return [x for _, x in flatten_with_path(structure)]


def flatten_with_path(structure: Any) -> list:
    """`(path, leaf)` pairs, a path being a tuple of keys and indices."""
    if not is_nested(structure):
        return [((), structure)]
    return [((key, *path), x) for key, part in _items(structure) for path, x in flatten_with_path(part)]


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """`func` of the leaves at each place.

    Args:
        func: takes one leaf of each structure.
        structures: nested alike.
        none_is_leaf: False leaves None as it is.

    Raises:
        TypeError: if `func` cannot be called.
        ValueError: if there is no structure, or they are not nested alike.
    """
    _check_function("map_structure", func)
    if not structures:
        raise ValueError("map_structure: expected at least one structure; received none")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)

    def apply(*leaves: Any) -> Any:
        if none_is_leaf or leaves[0] is not None:
            return func(*leaves)
        if any(leaf is not None for leaf in leaves):
            raise ValueError(f"map_structure: expected None at a place where the first structure has it; got {leaves}")
        return None

    return map_structure_up_to(structures[0], apply, *structures)


def map_shape_structure(func: Callable, structure: Any) -> Any:
    """`func` of each shape in a structure: of each tuple or list of integers and None."""
    _check_function("map_shape_structure", func)
    shape = isinstance(structure, (list, tuple)) and all(s is None or isinstance(s, int) for s in structure)
    if shape or not is_nested(structure):
        return func(structure)
    return _like(structure, [map_shape_structure(func, part) for _, part in _items(structure)])


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """`func` of the subtrees at each leaf of a shallow structure.

    Raises:
        TypeError: if `func` cannot be called.
        ValueError: if a structure is not nested as the shallow one, as far as that goes.
    """
    _check_function("map_structure_up_to", func)
    if not is_nested(shallow_structure):
        return func(*structures)
    for structure in structures:
        _check_same_level(shallow_structure, structure)
    rows = zip(_items(shallow_structure), *map(_items, structures), strict=True)
    return _like(
        shallow_structure, [map_structure_up_to(first, func, *(part for _, part in rest)) for (_, first), *rest in rows]
    )


def _check_function(who: str, func: Any) -> None:
    if not callable(func):
        raise TypeError(f"{who}: expected a function; received {func!r}")


def _check_same_level(a: Any, b: Any) -> None:
    """Raises ValueError unless both are containers of one type, with as many parts or the same keys."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            raise ValueError(f"the structures differ: one has the keys {_keys(a)}, the other {_keys(b)}")
    elif type(a) is not type(b):
        raise ValueError(f"the structures differ: one has {a!r:.80}, the other {b!r:.80}")
    elif len(a) != len(b):
        raise ValueError(f"the structures differ: one has {len(a)} parts, the other {len(b)}: {a!r:.80}, {b!r:.80}")


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The structure with other leaves.

    Raises:
        TypeError: if `flat_sequence` is no list or tuple.
        ValueError: if it has not as many elements as the structure has leaves.
    """
    if not isinstance(flat_sequence, _CONTAINERS) or isinstance(flat_sequence, dict):
        raise TypeError(f"pack_sequence_as: expected a list of leaves; received {flat_sequence!r:.80}")
    wanted = len(flatten(structure))
    if len(flat_sequence) != wanted:
        raise ValueError(f"the structure has {wanted} leaves; received {len(flat_sequence)}")
    leaves = iter(flat_sequence)
    return map_structure_up_to(structure, lambda _: next(leaves), structure)


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raises ValueError unless both are nested in the same way, in containers of the same types.

    Args:
        a, b: structures. Kinds of dict are one type, provided that the keys are the same.
        check_types: has no effect, as in Keras; `assert_same_paths` is the looser check.
    """
    if is_nested(a) or is_nested(b):
        _check_same_level(a, b)
        for (_, first), (_, second) in zip(_items(a), _items(b), strict=True):
            assert_same_structure(first, second)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError unless both have leaves at the same paths, whatever the containers are."""
    first, second = ({path for path, _ in flatten_with_path(t)} for t in (a, b))
    if first != second:
        raise ValueError(
            f"the paths differ: only the first structure has {sorted(first - second, key=str)}, "
            f"only the second has {sorted(second - first, key=str)}"
        )


def lists_to_tuples(structure: Any) -> Any:
    """Lists replaced by tuples, all the way down."""
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """Replaces subtrees for which `func` gives something else than None; `MAP_TO_NONE` stands for None.

    Raises:
        TypeError: if `func` cannot be called.
    """
    _check_function("traverse", func)
    if top_down:
        new = func(structure)
        if new is not None:
            return None if new is MAP_TO_NONE else new
    if is_nested(structure):
        structure = _like(structure, [traverse(func, part, top_down) for _, part in _items(structure)])
    if not top_down:
        new = func(structure)
        return None if new is MAP_TO_NONE else structure if new is None else new
    return structure


__getattr__ = _unknown_names_of(globals())
