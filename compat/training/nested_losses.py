"""Losses for outputs in nested lists, tuples and dicts: which loss stands on which part of the outputs.

As in Keras, losses follow the outputs' structure: a dict by its keys, a list or tuple of the outputs' own type by
place. A list of another type holds several losses of one part. A loss stands on an array, or on a part with
arrays in it, which its function is then given whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A loss and the part of the outputs that it is of."""

    path: tuple
    loss: Any
    weight: float | None
    name: str | None


def nested(value: Any) -> bool:
    """Whether a value is a list, tuple or dict."""
    return isinstance(value, (list, tuple, dict))


def deep(tree: Any) -> bool:
    """Whether there are lists, tuples or dicts inside of one."""
    return nested(tree) and any(nested(value) for _, value in items(tree))


def leaves(tree: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """`(path, array)` of the arrays of a structure, in order."""
    if nested(tree):
        for key, value in items(tree):
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def items(tree: Any) -> list[tuple[Any, Any]]:
    """The keys or places of a structure with what is there."""
    return list(tree.items() if isinstance(tree, dict) else enumerate(tree))


def places(loss: Any, weights: Any, outputs: Any, names: list[str] | None) -> list[Place]:
    """The losses of all parts of the outputs.

    Args:
        loss: one for every array, or a structure of them as described above.
        weights: None, one for all, or a structure like that of the losses, or as many in a flat list.
        outputs: arrays or specs in their structure.
        names: of the outputs' arrays, in order.

    Raises:
        ValueError: if losses and outputs, or losses and weights, do not match.
    """
    paths = [path for path, _ in leaves(outputs)]
    known = dict(zip(paths, names, strict=True)) if names and len(names) == len(paths) else {}
    if not nested(loss):
        weight = weights if not nested(weights) else None
        return [Place(path, loss, weight, _label(path, known)) for path in paths]
    flat = _flat_weights(loss, weights)
    return [Place(path, part, next(flat), _label(path, known)) for path, part in _descend(loss, outputs, ()) if part]


def _flat_weights(loss: Any, weights: Any) -> Iterator[Any]:
    count = sum(part is not None for _, part in leaves(loss))
    given = [w for (_, w), (_, part) in zip(leaves(weights), leaves(loss), strict=False) if part is not None]
    if not nested(weights):
        given = [weights] * count
    elif len(list(leaves(weights))) not in (count, len(list(leaves(loss)))):
        raise ValueError(f"loss_weights: there are {count} losses; received {len(list(leaves(weights)))} weights")
    elif len(list(leaves(weights))) == count:
        given = [w for _, w in leaves(weights)]
    return iter(given)


def _descend(loss: Any, outputs: Any, path: tuple) -> Iterator[tuple[tuple, Any]]:
    if not nested(loss):
        yield path, loss
        return
    inside = list(leaves(outputs))
    sequence = isinstance(loss, (list, tuple))
    if sequence and nested(outputs) and len(loss) == len(inside) and not any(map(nested, loss)):
        for (inner, _), part in zip(inside, loss, strict=True):
            yield (*path, *inner), part
    elif sequence and not isinstance(outputs, type(loss)):
        for part in loss:
            yield from _descend(part, outputs, path)
    else:
        yield from _descend_each(loss, outputs, path)


def _descend_each(loss: Any, outputs: Any, path: tuple) -> Iterator[tuple[tuple, Any]]:
    where = "/".join(map(str, path)) or "the outputs"
    if not isinstance(outputs, dict if isinstance(loss, dict) else type(loss)):
        kind = type(outputs).__name__ if nested(outputs) else "array"
        raise ValueError(f"loss: expected for {where}, of type {kind}, no {type(loss).__name__} of losses")
    known = dict(items(outputs))
    for key, part in items(loss):
        if key not in known:
            raise ValueError(f"loss: {where} has no {key!r}, but the losses have; it has {list(known)}")
        yield from _descend(part, known[key], (*path, key))


def _label(path: tuple, names: dict[tuple, str]) -> str | None:
    """The path in words, the name of an output in place of its number; None if that is not known."""
    if not path:
        return "_".join(names.values()) or None
    last = names.get(path) if isinstance(path[-1], int) else path[-1]
    return None if last is None else "/".join(map(str, (*path[:-1], last)))


def part_of(tree: Any, path: tuple) -> Any:
    """What a structure has at a path."""
    for key in path:
        tree = tree[key]
    return tree


def down_to(tree: Any, outputs: Any, what: str) -> list[Any]:
    """What a structure has for each array of the outputs, in order; None where it ends before.

    Raises:
        ValueError: if it is built otherwise than the outputs.
    """
    if tree is None or not nested(outputs):
        return [tree] * len(list(leaves(outputs)))
    if isinstance(tree, dict) and isinstance(outputs, dict) and set(tree) <= set(outputs):
        return [part for k, v in outputs.items() for part in down_to(tree.get(k), v, what)]
    if isinstance(tree, (list, tuple)) and len(tree) == len(outputs):
        pairs = zip(tree, items(outputs), strict=True)
        return [part for t, (_, v) in pairs for part in down_to(t, v, what)]
    raise ValueError(f"{what}: expected the structure of the outputs, {_shown(outputs)}; received {tree!r:.200}")


def like(tree: Any, outputs: Any, what: str) -> Any:
    """A structure with the containers of the outputs, if it has as many arrays.

    Raises:
        ValueError: if it has more or fewer.
    """
    values = [value for _, value in leaves(tree)]
    wanted = len(list(leaves(outputs)))
    if len(values) != wanted:
        raise ValueError(f"{what} has {len(values)} arrays; the model has {wanted} outputs: {_shown(outputs)}")
    if isinstance(tree, dict) and isinstance(outputs, dict):
        if set(tree) != set(outputs):
            raise ValueError(f"{what} has the keys {list(tree)}; the outputs have {list(outputs)}")
        return {k: like(tree[k], outputs[k], what) for k in outputs}
    if nested(outputs) and nested(tree) and not isinstance(tree, dict) and len(tree) == len(outputs):
        parts = [like(t, o, what) for t, (_, o) in zip(tree, items(outputs), strict=True)]
        return _made(outputs, parts)
    given = iter(values)
    return _filled(outputs, given)


def _filled(outputs: Any, given: Iterator[Any]) -> Any:
    return _made(outputs, [_filled(v, given) for _, v in items(outputs)]) if nested(outputs) else next(given)


def _made(outputs: Any, parts: list) -> Any:
    if isinstance(outputs, dict):
        return dict(zip(outputs, parts, strict=True))
    return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)


def _shown(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        return {k: _shown(v) for k, v in outputs.items()}
    return [_shown(v) for v in outputs] if nested(outputs) else "*"
