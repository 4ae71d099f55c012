"""Files and folders that stand in their place only when they are complete."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[Any]:
    """A binary file object to write and read, which becomes `path` when all is written."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".saving-")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
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


class Window(io.RawIOBase):
    """A part of a file, from `start` on, as a file of its own.

    Args:
        file: a seekable binary file.
        start: where the part begins.
        size: its bytes; None for a part that is written, which grows.
    """

    def __init__(self, file: Any, start: int, size: int | None = None):
        super().__init__()
        self.file, self.start, self.fixed = file, start, size is not None
        self.size, self.position = size or 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return not self.fixed

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, self.size)[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(min(len(view), self.size - self.position), 0)]
        self.file.seek(self.start + self.position)
        n = self.file.readinto(view) if len(view) else 0
        self.position += n
        return n

    def write(self, data: Any) -> int:
        if self.fixed:
            raise io.UnsupportedOperation("this part of the file is read only")
        self.file.seek(self.start + self.position)
        n = self.file.write(data)
        self.position += n
        self.size = max(self.size, self.position)
        return n

    def truncate(self, size: int | None = None) -> int:
        size = self.position if size is None else size
        if not self.fixed:
            self.file.truncate(self.start + size)
            self.size = size
        return size

    def flush(self) -> None:
        if not self.fixed:
            self.file.flush()
