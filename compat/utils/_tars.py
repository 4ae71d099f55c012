"""Tar archives of strangers, read once from front to end with constant memory.

The library's own reader keeps every member, reads a header's texts whole however long they are, and parses those
with regular expressions whose time grows with the square of the length.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from compat.saving.bounded import UnsafeArchiveError

_BLOCK = 512
_TEXT = 1 << 20  # bytes of a long name, or of a member's extended header: a path and what a file system keeps beside
_LARGEST = 1 << 62
_FILES, _FOLDER, _SPARSE = (b"0", b"\0", b"7"), b"5", b"S"
_LONG_NAME, _LONG_LINK, _GLOBAL, _EXTENDED = b"L", b"K", b"g", (b"x", b"X")


class Entry(NamedTuple):
    """A member: its path, and what reads its content, None for a folder."""

    name: str
    content: Any


def begins(block: bytes) -> bool:
    """Whether a file that begins so is a tar archive; one without members is made of zeros."""
    return len(block) == _BLOCK and (not block.strip(b"\0") or _sums(block))


def entries(file: Any, label: str) -> Iterator[Entry]:
    """The members of a tar archive; each one's content can be read until the next one is asked for.

    Args:
        file: has `read(size)`, which gives all of it but at the end.
        label: how errors call it.

    Raises:
        UnsafeArchiveError: if the archive is damaged, or has something that is neither a file nor a folder.
    """
    said: dict[str, str] = {}  # of the next member by the headers before it
    while block := file.read(_BLOCK):
        if len(block) == _BLOCK and not block.strip(b"\0"):
            return
        if len(block) < _BLOCK or not _sums(block):
            raise UnsafeArchiveError(f"{label}: a header in the archive is cut off or has a wrong sum: it is damaged")
        kind, size = block[156:157], _number(block[124:136], label)
        if kind in (_LONG_NAME, _LONG_LINK, _GLOBAL, *_EXTENDED):
            text = _text(file, size, label)
            if kind == _LONG_NAME:
                said["path"] = _decoded(text.split(b"\0", 1)[0])
            elif kind in _EXTENDED:
                said |= _records(text, label)
            continue
        name, said, before = said.get("path", _name(block)), {}, said
        content = _Content(file, _decimal(before.get("size", str(size)), label), f"{label}: the member {name[:80]!r}")
        if any(key.startswith("GNU.sparse") for key in before) or kind == _SPARSE:
            raise UnsafeArchiveError(f"{label} has {name[:80]!r}, a file with holes; pack it without --sparse")
        if kind == _FOLDER or (kind == b"\0" and name.endswith("/")):
            yield Entry(name, None)
        elif kind in _FILES:
            yield Entry(name, content)
            content.skip()
        else:
            raise UnsafeArchiveError(
                f"{label} has {name[:80]!r}, which is neither a file nor a folder, but a link or device"
            )


class _Content(io.RawIOBase):
    """What a member holds, and what fills its last block."""

    def __init__(self, file: Any, size: int, label: str):
        super().__init__()
        self._file, self._left, self._filling, self._label = file, size, -size % _BLOCK, label

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._left)
        block = self._file.read(wanted)
        if len(block) < wanted:
            raise UnsafeArchiveError(f"{self._label} is cut off: the archive is damaged")
        view[:wanted] = block
        self._left -= wanted
        return wanted

    def skip(self) -> None:
        """Goes to the next header."""
        while self.read(1 << 16):
            pass
        self._file.read(self._filling)


def _sums(block: bytes) -> bool:
    """Whether a header has the sum that is in it, of its bytes without or with sign."""
    try:
        expected = int(block[148:156].strip(b"\0 ") or b"0", 8)
    except ValueError:
        return False
    rest = block[:148] + block[156:]
    total = sum(rest) + 8 * ord(" ")
    return expected in (total, total - 256 * sum(byte > 127 for byte in rest))


def _number(field: bytes, label: str) -> int:
    """A size in octal digits, or in bytes after one of 128."""
    try:
        found = int.from_bytes(field[1:]) if field[0] == 128 else int(field.split(b"\0", 1)[0].strip() or b"0", 8)
    except ValueError:
        found = -1
    if not 0 <= found < _LARGEST:
        raise UnsafeArchiveError(f"{label}: a header in the archive has the size {field!r}: it is damaged")
    return found


def _decimal(text: str, label: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _LARGEST):
        raise UnsafeArchiveError(f"{label}: a header in the archive has the size {text[:40]!r}: it is damaged")
    return int(text)


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return _decoded(prefix + b"/" + name if prefix else name)


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _text(file: Any, size: int, label: str) -> bytes:
    if size > _TEXT:
        raise UnsafeArchiveError(
            f"{label}: a header in the archive has a text of {size:,} bytes; at most {_TEXT:,} are read"
        )
    text = file.read(size)
    filled = file.read(-size % _BLOCK)
    if len(text) < size or len(filled) < -size % _BLOCK:
        raise UnsafeArchiveError(f"{label}: a header in the archive is cut off: it is damaged")
    return text


def _records(text: bytes, label: str) -> dict[str, str]:
    """The records `LENGTH KEY=VALUE` of an extended header."""
    place, found = 0, {}
    while place < len(text) and text[place]:
        digits, _, _ = text[place : place + 8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = text[place + len(digits) + 1 : place + length].partition(b"=")
        if length < len(digits) + 4 or place + length > len(text) or not equals or not value.endswith(b"\n"):
            raise UnsafeArchiveError(f"{label}: an extended header in the archive is damaged")
        found[_decoded(key)] = _decoded(value[:-1])
        place += length
    return found
