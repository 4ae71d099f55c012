"""A part of a file as a file of its own."""

from __future__ import annotations

import io
from typing import Any


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
