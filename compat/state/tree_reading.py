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

from compat.serialization.objects import PLAIN
from compat.state.changes import ASSIGNMENTS

_LONG = 64  # items from which only those of a list that are parts are compared


class _Reading:
    """What was found, and by what it is known to hold still."""

    __slots__ = ("assignments", "watched")

    def __init__(self) -> None:
        self.assignments = ASSIGNMENTS[0]
        self.watched: list[tuple[Any, Any]] = []

    def holds(self) -> bool:
        """Whether there is the same to be found."""
        if self.assignments != ASSIGNMENTS[0]:
            return False
        for container, picture in self.watched:
            if type(picture) is int:
                if len(container) != picture:
                    return False
            elif not _same(list(container.values() if isinstance(container, dict) else container), picture):
                return False
        return True


class Scan(_Reading):
    """The parts of one layer.

    Args:
        attributes: of the layer.
        kinds: the classes of what is a part.
    """

    __slots__ = ("kinds", "parts", "tracked")

    def __init__(self, attributes: dict[str, Any], kinds: tuple[type, ...]):
        super().__init__()
        self.watched.append((attributes, len(attributes)))
        self.kinds = kinds
        self.parts: list[Any] = []
        self.tracked = False  # whether the layer knows the variables among them as its own
        seen: set[int] = set()
        for name, value in list(attributes.items()):
            if type(value) in PLAIN or name.startswith("_kf"):
                continue
            if isinstance(value, (list, tuple, dict)):
                self.parts += self._found(value, seen)
            elif id(value) not in seen and isinstance(value, kinds):
                seen.add(id(value))
                self.parts.append(value)

    def _found(self, value: Any, seen: set[int]) -> Iterator[Any]:
        if isinstance(value, (list, tuple, dict)):
            if id(value) in seen:  # it holds itself
                return
            seen.add(id(value))
            items = list(value.values() if isinstance(value, dict) else value)
            for item in items:
                yield from self._found(item, seen)
            if not isinstance(value, tuple):
                self.watched.append((value, _picture(items, self.kinds)))
        elif id(value) not in seen and isinstance(value, self.kinds):
            seen.add(id(value))
            yield value


class Tree(_Reading):
    """A layer and all layers under it, in order, each once, and what was worked out of them.

    Args:
        root: the layer.
    """

    __slots__ = ("layers", "results")

    def __init__(self, root: Any):
        super().__init__()
        self.layers: list[Any] = []
        self.results: dict[str, Any] = {}
        known: set[int] = set()
        waiting = [root]
        while waiting:
            layer = waiting.pop()
            if id(layer) not in known:
                known.add(id(layer))
                self.layers.append(layer)
                self.watched += layer._kf_scanned().watched
                waiting += reversed(layer._sublayers())

    def result(self, name: str, compute: Callable[[], list[Any]]) -> list[Any]:
        """A list that follows from the tree alone."""
        found = self.results.get(name)
        if found is None:
            found = self.results[name] = compute()
        return list(found)


def _picture(items: list[Any], kinds: tuple[type, ...]) -> Any:
    """What is compared of a list or dict: all items, or of a long one its length and the parts in it."""
    if len(items) <= _LONG:
        return list(map(id, items))
    return len(items), [(i, id(item)) for i, item in enumerate(items) if isinstance(item, kinds)]


def _same(items: list[Any], picture: Any) -> bool:
    if type(picture) is list:
        return list(map(id, items)) == picture
    return len(items) == picture[0] and all(id(items[i]) == known for i, known in picture[1])
