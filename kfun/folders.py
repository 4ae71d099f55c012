"""Folders that are read while a save may put another one in their place: all that is read is of one save."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import Any, Self

from kfun.atomic import sweep

_TRIES = 100  # to read a folder while saves go on
_BY_DESCRIPTOR = hasattr(os, "O_DIRECTORY") and {os.open, os.stat} <= os.supports_dir_fd  # not on Windows


class SteadyFolder:
    """A folder that stays the same one, though another one may take its place, for a `with` statement.

    Its files can go, as a save removes the folder that it replaced; those that are open can still be read.

    Attributes:
        by_path: whether something of it is read by its path, which may be another one's by then.

    Args:
        path: of the folder.

    Raises:
        FileNotFoundError: if there is no such folder.
    """

    def __init__(self, path: str):
        self.path = path
        self.by_path = not _BY_DESCRIPTOR
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if _BY_DESCRIPTOR else None
        self._identity = os.stat(path if self._descriptor is None else self._descriptor)
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._files.close()
        if self._descriptor is not None:
            os.close(self._descriptor)

    def open(self, name: str) -> Any:
        """A file of the folder, open for reading in binary until the end.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is a link, or no file.
        """
        inner = os.path.join(self.path, name) if self._descriptor is None else name
        kind = os.stat(inner, dir_fd=self._descriptor, follow_symlinks=False).st_mode
        if stat.S_ISLNK(kind):
            raise ValueError(f"{self.path!r}: {name} is a link, which is refused")
        if not stat.S_ISREG(kind):  # a pipe would be waited for
            raise ValueError(f"{self.path!r} lacks {name}: what has that name is no file")
        return self._files.enter_context(open(inner, "rb", opener=self._opened))

    def _opened(self, path: str, flags: int) -> int:
        return os.open(path, flags, dir_fd=self._descriptor)

    def is_replaced(self) -> bool:
        """Whether another folder, or nothing, is in its place by now."""
        try:
            return not os.path.samestat(self._identity, os.stat(self.path))
        except FileNotFoundError:
            return True


def of_one_save(path: str, read: Callable[[SteadyFolder], Any]) -> Any:
    """What `read(folder)` gives of a folder; if a save replaced that meanwhile, and files went, it is called again.

    Raises:
        ValueError: if the folder is replaced again and again.
    """
    for last in [False] * (_TRIES - 1) + [True]:
        with SteadyFolder(path) as folder:
            try:
                found = read(folder)
            except Exception:  # whatever reads parts of two saves can fail in any way
                if last or not folder.is_replaced():
                    raise
            else:
                if not folder.by_path or not folder.is_replaced():
                    return found
    raise ValueError(f"{path!r} was replaced {_TRIES} times while it was read: read it when no one saves")


def put_right(path: str) -> None:
    """Puts a folder that is missing in its place if a killed save had completed it; see `kfun.atomic.sweep`."""
    if not os.path.lexists(path):
        with contextlib.suppress(OSError, ValueError):  # there is no folder around it, or it is another user's
            sweep(path)
