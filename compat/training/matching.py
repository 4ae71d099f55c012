"""What belongs to which part of a model's outputs: targets, weights, losses and metrics, matched by name or place.

Outputs are an array, a list or dict of arrays, or such structures in each other. Whatever goes with them may be
said in their structure, by the outputs' names, in a flat list, or once for all. It is brought into one form here:
a dict by output, in the outputs' order. Names and not places are the keys, since compiled steps sort the keys of
dicts, so that the second array of a batch need not be the second array of the specs that all was built for.

Losses may also stand on a part with several arrays in it, which their function is given whole. As in Keras they
follow the outputs' structure: a dict by its keys, a list or tuple of the outputs' own type by place. A list of
another type holds several losses of one part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kfun.errors import nearest


def nested(value: Any) -> bool:
    """Whether a value is a list, tuple or dict."""
    return isinstance(value, (list, tuple, dict))


def deep(tree: Any) -> bool:
    """Whether there are lists, tuples or dicts inside of one."""
    return nested(tree) and any(nested(value) for _, value in items(tree))


def items(tree: Any) -> list[tuple[Any, Any]]:
    """The keys or places of a structure with what is there."""
    return list(tree.items() if isinstance(tree, dict) else enumerate(tree))


def leaves(tree: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """`(path, array)` of the arrays of a structure, in order."""
    if nested(tree):
        for key, value in items(tree):
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def part_of(tree: Any, path: tuple) -> Any:
    """What a structure has at a path."""
    for key in path:
        tree = tree[key]
    return tree


class Outputs:
    """A model's outputs, and what belongs to each of their arrays.

    Args:
        tree: arrays or specs in their structure.
        names: of the arrays, in order, if the model has such. A flat dict has its keys.

    Attributes:
        arrays: the arrays by name, in the model's order.
        shown: their paths, with the names that the model or a dict gives them.
    """

    def __init__(self, tree: Any, names: list[str] | None):
        self.deep = deep(tree)
        flat_dict = isinstance(tree, dict) and not self.deep
        if flat_dict and names and set(names) == set(tree):
            tree = {name: tree[name] for name in names}
        found = dict(leaves(tree))
        told = list(tree) if flat_dict else names if names and len(names) == len(found) else None
        self.tree = tree
        self.shown = dict(zip(found, told, strict=True)) if told else {}
        made = ["/".join(map(str, path)) if self.deep else f"output_{i}" for i, path in enumerate(found)]
        self.names = told or (made if len(found) > 1 else ["output"])
        self.arrays = dict(zip(self.names, found.values(), strict=True))

    def given(self, value: Any, what: str) -> dict[str, Any]:
        """What `compile` was given for each array: one thing for all, a dict or list by output, or their structure.

        Raises:
            ValueError: if it does not match; `what` begins the message.
        """
        if self.deep and nested(value):
            return dict(zip(self.names, _down_to(value, self.tree, what), strict=True))
        if isinstance(value, dict):
            for key in value:
                if key not in self.arrays:
                    raise ValueError(f"{what}: {key!r} is no output of the model; {nearest(key, self.names)}")
            return {name: value.get(name) for name in self.names}
        if not isinstance(value, (list, tuple)) or (len(self.names) == 1 and len(value) != 1):
            return dict.fromkeys(self.names, value)
        if len(value) != len(self.names):
            raise ValueError(
                f"{what}: the model has {len(self.names)} outputs {self.names}; received {len(value)}. Pass a dict by "
                "output, or a list with an item for each"
            )
        return dict(zip(self.names, value, strict=True))

    def each(self, tree: Any, what: str, trained: list[str] | None = None) -> dict[str, Any]:
        """The targets or sample weights of each array, None where there are none.

        Args:
            tree: None, one array, or several in a structure.
            what: `"y"` or `"sample_weight"`: one weight may be for all arrays.
            trained: the outputs that have a loss; as many targets as that go to them.

        Raises:
            ValueError: if they do not match.
        """
        if tree is None:
            return dict.fromkeys(self.names)
        parts = list(tree) if isinstance(tree, (list, tuple)) else [tree]
        if trained and len(parts) == len(trained) < len(self.names) and not isinstance(tree, dict) and not deep(tree):
            return dict.fromkeys(self.names) | dict(zip(trained, parts, strict=True))
        if isinstance(tree, dict) and (set(tree) == set(self.names) or not (self.deep or deep(tree))):
            return self._by_name(tree, what)
        if not nested(tree) and (len(self.names) == 1 or what == "sample_weight"):
            return dict.fromkeys(self.names, tree)
        count = len(list(leaves(tree)))
        if count != len(self.names):
            shown = _sketch(self.tree) if self.deep else self.names
            raise ValueError(f"{what} has {count} parts; the model has {len(self.names)} outputs {shown}")
        return dict(zip(self.names, _aligned(tree, self.tree, what), strict=True))

    def _by_name(self, tree: dict, what: str) -> dict[str, Any]:
        if len(tree) == len(self.names) == 1:
            return dict(zip(self.names, tree.values(), strict=True))
        if what == "y" and all(tree.get(name) is None for name in self.names):
            raise ValueError(f"y has the keys {sorted(tree)}; the model's outputs are {self.names}")
        return {name: tree.get(name) for name in self.names}

    def at(self, path: tuple, values: dict[str, Any]) -> Any:
        """The values of the arrays at a path, in the containers of the outputs; None if there are none."""
        made = part_of(_filled(self.tree, iter(values.values())), path)
        return None if all(value is None for _, value in leaves(made)) else made


def _down_to(tree: Any, outputs: Any, what: str) -> list[Any]:
    """What a structure has for each array of the outputs, in order; None where it ends before."""
    if tree is None or not nested(outputs):
        return [tree] * len(list(leaves(outputs)))
    parts = None
    if isinstance(tree, dict) and isinstance(outputs, dict) and set(tree) <= set(outputs):
        parts = [tree.get(key) for key in outputs]
    elif isinstance(tree, (list, tuple)) and len(tree) == len(outputs):
        parts = list(tree)
    if parts is None:
        raise ValueError(f"{what}: expected the structure of the outputs, {_sketch(outputs)}; received {tree!r:.200}")
    return [x for part, (_, inner) in zip(parts, items(outputs), strict=True) for x in _down_to(part, inner, what)]


def _aligned(tree: Any, outputs: Any, what: str) -> list[Any]:
    """The arrays of a structure in the order of the outputs: by keys and places as far as these agree."""
    values, wanted = [value for _, value in leaves(tree)], len(list(leaves(outputs)))
    if len(values) != wanted:
        raise ValueError(f"{what} has {len(values)} parts where the outputs have {wanted}: {_sketch(outputs)}")
    if isinstance(tree, dict) and isinstance(outputs, dict):
        if set(tree) != set(outputs):
            raise ValueError(f"{what} has the keys {list(tree)}; the outputs have {list(outputs)}")
        return [value for key in outputs for value in _aligned(tree[key], outputs[key], what)]
    if isinstance(tree, (list, tuple)) and nested(outputs) and len(tree) == len(outputs):
        pairs = zip(tree, items(outputs), strict=True)
        return [value for part, (_, inner) in pairs for value in _aligned(part, inner, what)]
    return values


def _filled(outputs: Any, given: Iterator[Any]) -> Any:
    """The containers of the outputs with other values in them."""
    if not nested(outputs):
        return next(given)
    parts = [_filled(inner, given) for _, inner in items(outputs)]
    if isinstance(outputs, dict):
        return dict(zip(outputs, parts, strict=True))
    return type(outputs)(*parts) if hasattr(outputs, "_fields") else type(outputs)(parts)


def _sketch(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        return {key: _sketch(value) for key, value in outputs.items()}
    return [_sketch(value) for value in outputs] if nested(outputs) else "*"


# ---- losses ----


class Place(NamedTuple):
    """A loss and the part of the outputs that it is of."""

    path: tuple
    loss: Any
    weight: float | None
    name: str | None


def structured(loss: Any, outputs: Any) -> bool:
    """Whether losses or outputs are nested deeper than a list or dict by output."""
    several = isinstance(loss, (list, tuple)) and not nested(outputs) and len(loss) > 1
    return several or deep(outputs) or deep(loss)


def places(loss: Any, weights: Any, outputs: Outputs) -> list[Place]:
    """The losses of all parts of the outputs.

    Args:
        loss: one for every array, or a structure of them as described above.
        weights: None, one for all, or a structure like that of the losses, or as many in a flat list.
        outputs: what they are matched to.

    Raises:
        ValueError: if losses and outputs, or losses and weights, do not match.
    """
    if nested(loss) and structured(loss, outputs.tree):
        flat = iter(_flat_weights(loss, weights))
        found = [(path, part, next(flat)) for path, part in _descend(loss, outputs.tree, ()) if part is not None]
    else:
        if isinstance(loss, dict) and isinstance(weights, (list, tuple)):
            weights = dict(zip(sorted(loss), weights, strict=True))  # as Keras flattens dicts
        losses, weights = outputs.given(loss, "loss"), outputs.given(weights, "loss_weights")
        paths = [path for path, _ in leaves(outputs.tree)]
        rows = zip(paths, losses.values(), weights.values(), strict=True)
        found = [row for row in rows if row[1] is not None]
    return [Place(*row, _label(row[0], outputs.shown)) for row in found]


def _flat_weights(loss: Any, weights: Any) -> list[Any]:
    there = [part is not None for _, part in leaves(loss)]
    if not nested(weights):
        return [weights] * sum(there)
    given = [weight for _, weight in leaves(weights)]
    if len(given) == sum(there):
        return given
    if len(given) != len(there):
        raise ValueError(f"loss_weights: there are {sum(there)} losses; received {len(given)} weights")
    return [weight for weight, is_there in zip(given, there, strict=True) if is_there]


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
