"""Automatic names, and the paths that variables get from the layers around them."""

from __future__ import annotations

import contextvars
import threading
from typing import Any, NamedTuple

from kfun.layer import snake_case

_counts: dict[str, int] = {}
_lock = threading.Lock()


class _Place(NamedTuple):
    """Where variables are made: the path of the layers and scopes around, and who opened the innermost scope."""

    path: str = ""
    opener: Any = None


_NOWHERE = _Place()
_place: contextvars.ContextVar[_Place] = contextvars.ContextVar("compat_names", default=_NOWHERE)


def auto_name(class_name: str) -> str:
    """`"dense"`, then `"dense_1"`, and so on, counted over the process."""
    return unique(snake_case(class_name))


def unique(base: str) -> str:
    """`base`, numbered from the second use on."""
    n = next_number(base) - 1
    return base if n == 0 else f"{base}_{n}"


def next_number(base: str) -> int:
    """How often a name was asked for, this time included."""
    with _lock:
        _counts[base] = _counts.get(base, 0) + 1
        return _counts[base]


def reset() -> None:
    """Starts all numbering anew, as `clear_session` does."""
    _counts.clear()


class at:
    """Variables made inside have `path/` in front, whatever is around.

    Args:
        path: "" for none.
        opener: what `opener()` gives inside.
    """

    __slots__ = ("_inside", "_token")

    def __init__(self, path: str, opener: Any = None):
        self._inside = _Place(path, opener)

    def __enter__(self) -> None:
        self._token = _place.set(self._inside)

    def __exit__(self, *exc: Any) -> None:
        _place.reset(self._token)


def under(name: str) -> at:
    """Variables made inside have `name/` in front of their path."""
    return at(path_of(name))


def here() -> str:
    """The path of the layers and scopes around, "" outside of all."""
    return _place.get().path


def opener() -> Any:
    """Who opened the innermost scope; None for a layer."""
    return _place.get().opener


def path_of(name: str) -> str:
    """The path of something named here and now."""
    around = _place.get().path
    return f"{around}/{name}" if around else name
