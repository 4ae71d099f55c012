"""Files and folders that stand in their place only when they are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[Any]:
    """A binary file object to write and read, which becomes `path` when all is written.

    What fails or is killed leaves the old file. The disk is not waited for: that takes longer than the writing.
    """
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".saving-")
    try:
        os.close(handle)
        with open(temporary, "r+b") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def atomic_folder(path: str) -> Iterator[str]:
    """A new folder to fill, which becomes `path` when all is written; one that was there goes then."""
    path = os.path.abspath(path)
    temporary = tempfile.mkdtemp(dir=os.path.dirname(path), prefix=".saving-")
    old = f"{temporary}-old"
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        if os.path.exists(path):
            os.replace(path, old)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(old) and not os.path.exists(path):
            os.replace(old, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
