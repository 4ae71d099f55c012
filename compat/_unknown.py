"""What a module answers to a name that it does not have: the nearest ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from kfun.errors import nearest


def unknown_names_of(namespace: dict[str, Any], later: dict[str, str] | None = None) -> Callable[[str], Any]:
    """A module's `__getattr__`, which raises AttributeError with the nearest public names.

    Args:
        namespace: the module's `globals()`.
        later: names that are imported when they are asked for, with the module that has them.
    """

    def __getattr__(name: str) -> Any:
        if later and name in later:
            return getattr(importlib.import_module(later[name]), name)
        message = f"module {namespace['__name__']!r} has no attribute {name!r}"
        if not name.startswith("_"):
            message += f"; {nearest(name, [*(n for n in namespace if not n.startswith('_')), *(later or ())])}"
        raise AttributeError(message)

    return __getattr__
