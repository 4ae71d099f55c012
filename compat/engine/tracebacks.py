"""Tracebacks without the frames inside the library, so that the user's line and the mistake stand together."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from compat.engine.error_notes import explained
from compat.state import settings
from kfun.errors import refuse_unknown


@functools.cache
def _inside() -> tuple[str, ...]:
    """The folders whose frames are left out."""
    folders = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    for name in ("kfun", "jax", "jaxlib"):
        module = sys.modules.get(name)
        if module is not None and module.__file__:
            folders.append(os.path.dirname(os.path.abspath(module.__file__)))
    return tuple(folder + os.sep for folder in folders)


def visible(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback with the user's frames and the last one, where the error was raised."""
    frames = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    kept = [f for i, f in enumerate(frames) if i == len(frames) - 1 or _shown(f)]
    following = None
    for frame in reversed(kept):
        following = TracebackType(following, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return following


def _shown(frame: TracebackType) -> bool:
    return not frame.tb_frame.f_code.co_filename.startswith(_inside())


def filtered(method: Callable) -> Callable:
    """A method whose errors show no frames inside the library, unless `config.disable_traceback_filtering()`."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            _refuse_unknown(method, self, error, kwargs)
            shown = error
            if method.__name__ == "__call__":
                shown = explained(self, error, args, kwargs)
            if settings.values["filter_tracebacks"]:
                shown.__traceback__ = visible(error.__traceback__)
            if shown is not error:
                raise shown from error
            raise

    return call


def _refuse_unknown(method: Callable, owner: Any, error: Exception, kwargs: dict) -> None:
    """Names the nearest argument if the call itself failed for one that the method does not have."""
    raised_here = error.__traceback__ is not None and error.__traceback__.tb_next is None
    if raised_here and isinstance(error, TypeError):
        known = [n for n in inspect.signature(method).parameters if n != "self"]
        refuse_unknown(f"{type(owner).__name__}.{method.__name__}", [k for k in kwargs if k not in known], known)
