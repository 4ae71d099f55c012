"""Tracebacks without the frames inside the library, so that the user's line and the mistake stand together."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from compat.core import settings


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
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            if settings.values["filter_tracebacks"]:
                error.__traceback__ = visible(error.__traceback__)
            raise

    return call
