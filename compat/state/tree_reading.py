"""A layer's tree, read once and kept as long as nothing in it has changed.

To find the variables of a model every attribute of every layer is looked at. That is dear, and a public call asks
for them many times. So what was found is kept with what tells that it still holds:

- a count of all assignments, anywhere, of what can be a part of a layer: a variable, a layer, a metric, a list;
- the sizes and items of the lists and dicts among the attributes, and how many attributes there are, since these
  can change without an assignment (`self.blocks.append(layer)`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compat.state import changes

_PLAIN = frozenset((type(None), bool, int, float, str))  # most attributes, and no parts
_LONG = 64  # items from which only those of a list that are parts are compared


class Scan:
    """The parts of one layer.

    Args:
        attributes: of the layer.
        is_part: whether a value is a part.
    """

    __slots__ = ("assignments", "parts", "watched")

    def __init__(self, attributes: dict[str, Any], is_part: Callable[[Any], bool]):
        self.assignments = changes.assignments()
        self.watched: list[tuple[Any, Any]] = [(attributes, len(attributes))]
        seen: set[int] = set()
        self.parts: list[Any] = []
        for name, value in list(attributes.items()):
            if type(value) not in _PLAIN and not name.startswith("_kf"):
                self.parts += self._found(value, seen, is_part)

    def _found(self, value: Any, seen: set[int], is_part: Callable[[Any], bool]) -> Iterator[Any]:
        if isinstance(value, (list, tuple, dict)):
            if id(value) in seen:  # it holds itself
                return
            seen.add(id(value))
            items = list(value.values() if isinstance(value, dict) else value)
            for item in items:
                yield from self._found(item, seen, is_part)
            if not isinstance(value, tuple):
                self.watched.append((value, _picture(items, is_part)))
        elif id(value) not in seen and is_part(value):
            seen.add(id(value))
            yield value

    def holds(self) -> bool:
        """Whether the layer has these parts still."""
        return self.assignments == changes.assignments() and _unchanged(self.watched)


class Tree:
    """A layer and all layers under it, in order, each once, and what was worked out of them.

    Args:
        layers: with a `scan` each.
    """

    __slots__ = ("assignments", "layers", "results", "watched")

    def __init__(self, layers: list[Any]):
        self.layers = layers
        self.watched = [w for layer in layers for w in layer._kf_scanned().watched]
        self.results: dict[str, Any] = {}
        self.assignments = changes.assignments()

    def holds(self) -> bool:
        """Whether the tree is the same still."""
        return self.assignments == changes.assignments() and _unchanged(self.watched)

    def result(self, name: str, compute: Callable[[], list[Any]]) -> list[Any]:
        """A list that follows from the tree alone."""
        found = self.results.get(name)
        if found is None:
            found = self.results[name] = compute()
        return list(found)


def _picture(items: list[Any], is_part: Callable[[Any], bool]) -> Any:
    """What is compared of a list or dict: all items, or of a long one its length and the parts in it."""
    if len(items) <= _LONG:
        return list(map(id, items))
    return len(items), [(i, id(item)) for i, item in enumerate(items) if is_part(item)]


def _unchanged(watched: list[tuple[Any, Any]]) -> bool:
    for container, picture in watched:
        if type(picture) is int:
            if len(container) != picture:
                return False
        elif not _same(list(container.values() if isinstance(container, dict) else container), picture):
            return False
    return True


def _same(items: list[Any], picture: Any) -> bool:
    if type(picture) is list:
        return list(map(id, items)) == picture
    return len(items) == picture[0] and all(id(items[i]) == known for i, known in picture[1])
