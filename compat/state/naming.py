"""Automatic names, and the paths that variables get from the layers around them."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

from kfun.layer import snake_case

_counts: dict[str, int] = {}
_lock = threading.Lock()
_prefix: contextvars.ContextVar[str] = contextvars.ContextVar("compat_names", default="")


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
    """Variables made inside have `path/` in front, whatever is around."""

    __slots__ = ("_path", "_token")

    def __init__(self, path: str):
        self._path = path

    def __enter__(self) -> None:
        self._token = _prefix.set(self._path)

    def __exit__(self, *exc: Any) -> None:
        _prefix.reset(self._token)


def under(name: str) -> at:
    """Variables made inside have `name/` in front of their path."""
    return at(path_of(name))


def path_of(name: str) -> str:
    """The path of something named here and now."""
    prefix = _prefix.get()
    return f"{prefix}/{name}" if prefix else name
