"""Automatic names, and the paths that variables get from the layers around them."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator

from kfun.layer import snake_case

_counts: dict[str, int] = {}
_lock = threading.Lock()
_prefix: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("compat_names", default=())


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


@contextlib.contextmanager
def under(name: str) -> Iterator[None]:
    """Variables made inside have `name/` in front of their path."""
    token = _prefix.set((*_prefix.get(), name))
    try:
        yield
    finally:
        _prefix.reset(token)


@contextlib.contextmanager
def at(path: str) -> Iterator[None]:
    """Variables made inside have `path/` in front, whatever is around."""
    token = _prefix.set(tuple(path.split("/")))
    try:
        yield
    finally:
        _prefix.reset(token)


def path_of(name: str) -> str:
    """The path of something named here and now."""
    return "/".join((*_prefix.get(), name))
