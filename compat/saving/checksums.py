"""The CRC-32 of a file that is written in pieces, in any order, each looked at while it is on its way."""

from __future__ import annotations

import concurrent.futures
import zlib
from typing import Any

from compat.saving.window import Window

_POLYNOMIAL = 0xEDB88320  # of CRC-32, the highest bit standing for x ** 0
_LARGE = 1 << 20  # bytes from which a piece is worth a thread
_BLOCK = 1 << 22


def of(part: Window, start: int = 0, end: int | None = None) -> int:
    """The checksum of a part of a file, read from it."""
    found, buffer = 0, memoryview(bytearray(_BLOCK))
    left = (part.size if end is None else end) - start
    part.seek(start)
    while left and (n := part.readinto(buffer[: min(left, _BLOCK)])):
        found, left = zlib.crc32(buffer[:n], found), left - n
    return found


def joined(first: int, second: int, size: int) -> int:
    """The checksum of two pieces one after the other, of which the second has `size` bytes."""
    power = 1 << 23  # x ** 8: a byte more behind the first piece
    while size:
        if size & 1:
            first = _times(power, first)
        power, size = _times(power, power), size >> 1
    return first ^ second


def _times(a: int, b: int) -> int:
    """The product of two polynomials over two elements, modulo CRC-32's."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


class Summed(Window):
    """A part of a file that is written, and the checksum of what it holds in the end.

    Large pieces are summed by a thread while they are written; the rest is read once more.
    """

    def __init__(self, file: Any, start: int):
        super().__init__(file, start)
        self._pieces: dict[int, tuple[int, int]] = {}  # where -> (bytes, checksum)
        self._thread = concurrent.futures.ThreadPoolExecutor(1)

    def write(self, data: Any) -> int:
        start, size = self.position, memoryview(data).nbytes
        overlapped = [p for p, (n, _) in self._pieces.items() if p < start + size and start < p + n]
        for place in overlapped:
            del self._pieces[place]
        if size < _LARGE:
            return super().write(data)
        summed = self._thread.submit(zlib.crc32, data)
        written = super().write(data)
        found = summed.result()  # before the caller takes its memory back
        if written == size:
            self._pieces[start] = size, found
        return written

    def truncate(self, size: int | None = None) -> int:
        size = super().truncate(size)
        self._pieces = {p: piece for p, piece in self._pieces.items() if p + piece[0] <= size}
        return size

    def checksum(self) -> int:
        """The checksum of all that was written."""
        self._thread.shutdown()
        found = place = 0
        for start, (size, piece) in sorted(self._pieces.items()):
            found = joined(found, of(self, place, start), start - place)
            found, place = joined(found, piece, size), start + size
        return joined(found, of(self, place), self.size - place)
