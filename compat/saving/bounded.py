"""Compressed content read in blocks and counted: what comes out counts, never what a file says of itself."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

RATIO = 100  # of what comes out to the archive's bytes; what models and datasets hold stays below 50
SMALL = 1 << 26  # what an archive of any size may expand to: a few zeros pack well, and this much hurts nobody
MEMORY = 1 << 29  # the most that is decompressed into memory, three times the largest array of the small datasets
_OUTPUT, _INPUT = 1 << 20, 1 << 14  # bytes of a block; small ones in, for each stream copies what follows it
_DICTIONARY = 1 << 28  # memory for LZMA, whose highest preset asks for 65 MB; a header can ask for 4 GB


class UnsafeArchiveError(ValueError):
    """An archive that is damaged, or should not be unpacked."""


class Budget:
    """How much may still come out of an archive.

    Args:
        label: how errors call the archive.
        packed: its bytes.
        most: the bytes that may come out, however large it is.
        remedy: what to do where that is too little, but to store the content uncompressed.
    """

    def __init__(self, label: str, packed: int, most: float = MEMORY, remedy: str = ""):
        plausible = max(SMALL, RATIO * packed)
        self.label, self.most = label, min(most, plausible)
        self.remedy = f", or {remedy}" if remedy and most < plausible else ""
        self.left = self.most

    def take(self, count: int) -> None:
        """Counts bytes.

        Raises:
            UnsafeArchiveError: if they are more than are left.
        """
        self.left -= count
        if self.left < 0:
            raise UnsafeArchiveError(
                f"{self.label} expands to more than {self.most:,} bytes, the most that is taken from compressed "
                f"content ({RATIO} times the archive's size, up to a cap): refused, as a decompression bomb would do "
                f"the same. If the content is meant, store it uncompressed{self.remedy}"
            )


class Unpacked(io.RawIOBase):
    """What a compressed file holds.

    Args:
        file: has `read(size)`.
        decoder: makes what decodes a stream, with `decompress(data, most)`, `eof` and `unused_data`.
        budget: of the archive.
        label: how errors call the content.
        magic: begins a further stream; None if there is one stream only. What else follows is padding.
    """

    def __init__(
        self, file: Any, decoder: Callable[[], Any], budget: Budget, label: str, magic: bytes | None = None
    ) -> None:
        super().__init__()
        self._file, self._make, self._budget, self._label, self._magic = file, decoder, budget, label, magic
        self._decoder, self._ended = decoder(), False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        block = self._block(min(len(view), _OUTPUT)) if len(view) else b""
        view[: len(block)] = block
        return len(block)

    def _block(self, most: int) -> bytes:
        data = b""
        while not self._ended:
            if self._decoder.eof:
                data = self._following()
                continue
            try:
                block = self._decoder.decompress(data, most)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                raise UnsafeArchiveError(f"{self._label} cannot be decompressed ({error}): it is damaged") from error
            if block:
                self._budget.take(len(block))
                return block
            data = b"" if self._decoder.eof else self._file.read(_INPUT)
            if not data and not self._decoder.eof:
                raise UnsafeArchiveError(f"{self._label} is cut off: its compressed content does not end")
        return b""

    def _following(self) -> bytes:
        """Begins the next stream, if there is one, and gives the first of its bytes."""
        data = self._decoder.unused_data
        while self._magic is not None:
            data = data.lstrip(b"\0")
            more = self._file.read(_INPUT) if len(data) < len(self._magic) else b""
            data += more
            if data.startswith(self._magic):
                self._decoder = self._make()
                return data
            if data.strip(b"\0") or not more:
                break
        self._ended = True
        return b""


class _Inflate:
    """zlib's decoder with the interface of those of bz2 and lzma."""

    def __init__(self, window: int):
        self._stream = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, most)


def inflate() -> Any:
    """A decoder of the deflate method without a header, as zip members have it."""
    return _Inflate(-zlib.MAX_WBITS)


def lzma_of_zip(size: int | None) -> Any:
    """A decoder of LZMA as zip members have it: two bytes of version, a length, then five of settings.

    Args:
        size: of the content; None if an end is marked in it.
    """
    return _ZipLzma(b"\xff" * 8 if size is None else size.to_bytes(8, "little"))


class _ZipLzma:
    """Gives LZMA's own decoder the header of a file of one stream: that one has a limit of memory."""

    def __init__(self, size: bytes):
        self._decoder, self._size, self._head = lzma.LZMADecompressor(lzma.FORMAT_ALONE, _DICTIONARY), size, b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        if self._size:
            self._head += data
            if len(self._head) < 9:
                return b""
            if self._head[2:4] != b"\x05\x00":
                raise ValueError("unknown settings of LZMA")
            data, self._size = self._head[4:9] + self._size + self._head[9:], b""
        return self._decoder.decompress(data, most)


_STREAMS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", lambda: _Inflate(zlib.MAX_WBITS | 16)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _DICTIONARY)),
    (b"]\0\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _DICTIONARY)),
)


def decompressed(file: Any, budget: Budget, label: str) -> Any:
    """A file as it is, or what it holds if it is compressed with gzip, bzip2 or LZMA, as a file to read.

    Args:
        file: seekable, opened for reading.
        budget: for what comes out.
        label: how errors call it.
    """
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    for magic, decoder in _STREAMS:
        if head.startswith(magic):
            return io.BufferedReader(Unpacked(file, decoder, budget, label, magic), 1 << 18)
    return file
