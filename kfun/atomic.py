"""Files and folders that stand in their place only when they are complete.

What is not complete yet lies beside its target in a hidden folder, `.NAME.saving-` and eight hexadecimal digits.
Its writer holds a lock on that folder, which the system takes back when the process ends, however it ends. So the
next save of the same target tells what was left over from what is still being written, and sweeps only the former.
Where there are no such locks (Windows, some network file systems), what is older than a day counts as left over.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_STALE = 24 * 3600  # seconds
_TRIES = 1000  # of a step that a concurrent save of the same target may spoil
_LONGEST = 200  # bytes of a name that fits with what is added to it
_NEW, _OLD = "new", "old-"
_CURRENT_FOLDER, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE (Linux) and RENAME_SWAP (macOS)
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM}
_SPOILED = {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[Any]:
    """A binary file object to write and read, which becomes `path` when all is written.

    What fails or is killed leaves the old file; of concurrent saves the last one stays, whole. The disk is not
    waited for: that takes longer than the writing.
    """
    path = os.path.realpath(path)  # what a link leads to is replaced, not the link
    with beside(path) as folder:
        temporary = os.path.join(folder, os.path.basename(path))
        with open(temporary, "x+b") as file:
            yield file
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: str) -> Iterator[str]:
    """A new folder to fill, which becomes `path` when all is written; one that was there goes then.

    Linux and macOS exchange the two in one step. Elsewhere the old one is moved away first: a process that is
    killed just then leaves no `path`, which `sweep` and with it the next save put right.
    """
    path = os.path.abspath(path)
    with beside(path) as folder:
        new = os.path.join(folder, _NEW)
        os.mkdir(new)
        yield new
        _place(new, path)


@contextlib.contextmanager
def beside(path: str) -> Iterator[str]:
    """A new hidden folder on the file system of `path`, for what a save of it writes; it goes in the end.

    Left-overs of saves of `path` that were killed go before. The last eight characters of the folder's name are
    of this save alone.
    """
    path = os.path.abspath(path)
    sweep(path)
    folder, lock = _begin(path)
    try:
        yield folder
    finally:
        _clear(folder, path)
        if lock is not None:
            os.close(lock)


def sweep(path: str) -> list[str]:
    """Removes what killed saves of `path` left beside it; gives the folders of the saves that are under way.

    A folder that a killed save had moved away is replaced by the new one, which was complete.
    """
    parent, name = os.path.split(os.path.abspath(path))
    prefix, under_way = _prefix(name), []
    for entry in os.listdir(parent):
        if not entry.startswith(prefix) or not re.fullmatch("[0-9a-f]{8}", entry[len(prefix) :]):
            continue
        folder = os.path.join(parent, entry)
        with contextlib.suppress(FileNotFoundError):  # its save ended by itself, or another one swept it
            if not _swept(folder, path):
                under_way.append(folder)
    return under_way


def _swept(folder: str, path: str) -> bool:
    try:
        lock = _locked(folder)
    except FileNotFoundError:
        raise
    except OSError:  # its writer has the lock, or it is another user's
        return False
    try:
        if lock is None and time.time() - os.stat(folder).st_mtime < _STALE:
            return False
        _clear(folder, path)
        return True
    finally:
        if lock is not None:
            os.close(lock)


def _prefix(name: str) -> str:
    encoded = os.fsencode(name)
    return f".{name if len(encoded) <= _LONGEST else hashlib.sha256(encoded).hexdigest()}.saving-"


def _begin(path: str) -> tuple[str, int | None]:
    parent, name = os.path.split(path)
    for _ in range(_TRIES):
        folder = os.path.join(parent, _prefix(name) + secrets.token_hex(4))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            continue
        # Until it is locked it looks like a left-over: whoever swept it by then left nothing to lose.
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            return folder, _locked(folder)
    raise FileExistsError(f"no folder could be made beside {path!r}: the names that were tried were all taken")


def _locked(folder: str) -> int | None:
    """A descriptor that holds the folder's lock until it is closed; None where there are no such locks.

    Raises:
        BlockingIOError: if another process or thread holds it.
        FileNotFoundError: if the folder is gone.
    """
    if fcntl is None:
        return None
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(folder)):
            return lock
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    except BaseException as error:
        os.close(lock)
        if isinstance(error, OSError) and not isinstance(error, (BlockingIOError, FileNotFoundError)):
            return None
        raise


def _clear(folder: str, path: str) -> None:
    """Removes the folder of a save, but not the only copies of what it had moved away."""
    with contextlib.suppress(OSError):  # it is not empty
        os.rmdir(folder)
        return
    if not os.path.lexists(path) and _has_moved(folder):
        with contextlib.suppress(OSError):  # a concurrent save was quicker
            os.rename(os.path.join(folder, _NEW), path)
        if not os.path.lexists(path):
            return
    shutil.rmtree(folder, ignore_errors=True)


def _has_moved(folder: str) -> bool:
    """Whether a save moved the old folder away and did not come to put the new one in its place."""
    if not os.path.isdir(os.path.join(folder, _NEW)):
        return False
    return any(name.startswith(_OLD) for name in os.listdir(folder))


def _place(new: str, path: str) -> None:
    """Moves a folder to `path`; what was there is in the folder of `new` then."""
    for last in [False] * (_TRIES - 1) + [True]:
        try:
            if os.path.lexists(path):
                _exchange(new, path)
            else:
                os.rename(new, path)
            return
        except OSError as error:
            if last or error.errno not in _SPOILED:
                raise


def _exchange(new: str, path: str) -> None:
    exchange = _system_exchange()
    if exchange is not None:
        if exchange(os.fsencode(new), os.fsencode(path)) == 0:
            return
        code = ctypes.get_errno()
        if code not in _NO_EXCHANGE:
            raise OSError(code, os.strerror(code), new, None, path)
    old = os.path.join(os.path.dirname(new), _OLD + secrets.token_hex(4))
    os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        with contextlib.suppress(OSError):  # a concurrent save has taken the place
            os.rename(old, path)
        raise


@functools.cache
def _system_exchange() -> Callable[[bytes, bytes], int] | None:
    """The system's call that exchanges two paths in one step, None if it has none."""
    name = {"linux": "renameat2", "darwin": "renamex_np"}.get(sys.platform)
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if call is None:
        return None
    if name == "renamex_np":
        return lambda one, other: call(one, other, _EXCHANGE)
    return lambda one, other: call(_CURRENT_FOLDER, one, _CURRENT_FOLDER, other, _EXCHANGE)
