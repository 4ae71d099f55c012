"""What a module answers to a name that it does not have: the nearest ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfun.errors import nearest


def unknown_names_of(namespace: dict[str, Any]) -> Callable[[str], Any]:
    """A module's `__getattr__`, which raises AttributeError with the nearest public names."""

    def __getattr__(name: str) -> Any:
        message = f"module {namespace['__name__']!r} has no attribute {name!r}"
        if not name.startswith("_"):
            message += f"; {nearest(name, [n for n in namespace if not n.startswith('_')])}"
        raise AttributeError(message)

    return __getattr__
