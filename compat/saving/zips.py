"""Zip archives of strangers, read with constant memory: members that overlap, lie or expand too far are refused.

The library's own reader holds the whole directory, and decompresses a bzip2 block to its end, however long that is.
"""

from __future__ import annotations

import bz2
import io
import os
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from compat.saving import bounded
from compat.saving.bounded import Budget, Unpacked, UnsafeArchiveError
from compat.saving.window import Window

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_COMMENT = (1 << 16) - 1
_UTF8, _ENCRYPTED, _LZMA_END = 0x800, 0x1 | 0x40 | 0x2000, 0x2
_UNKNOWN = 0xFFFFFFFF  # the value is in the extra field of 64-bit sizes


class Member(NamedTuple):
    """What the directory says of a member."""

    name: str
    raw: bytes  # the name as it is written
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def is_link(self) -> bool:
        return self.mode & 0o170000 == 0o120000


class Zip:
    """The members of a zip archive, in the order of its directory.

    Args:
        file: seekable, opened for reading.
        label: how errors call it.
        most: how many members there may be.

    Raises:
        UnsafeArchiveError: if it has no directory, or too many members, or some that overlap.
    """

    def __init__(self, file: Any, label: str, most: int = 100_000):
        self.file, self.label, self.most = file, label, most
        found = directory(file)
        if found is None:
            raise self._damaged("it has no directory of members")
        self._start, self._bytes, self._before = found
        if self._start < 0 or self._before < 0:
            raise self._damaged("its directory is not where it says")
        self.size = file.seek(0, os.SEEK_END)
        self._apart()

    def _damaged(self, why: str) -> UnsafeArchiveError:
        return UnsafeArchiveError(f"{self.label} is no whole archive ({why}): it is damaged or was cut off")

    def namelist(self) -> list[str]:
        """The members' names."""
        return [m.name for m in self]

    def __iter__(self) -> Iterator[Member]:
        entries = io.BufferedReader(Window(self.file, self._start, self._bytes), 1 << 16)
        place = count = 0
        while place < self._bytes:
            count += 1
            if count > self.most:
                raise UnsafeArchiveError(f"{self.label} has more than {self.most:,} members, which is refused")
            head = entries.read(_ENTRY.size)
            if len(head) < _ENTRY.size or head[:4] != b"PK\x01\x02":
                raise self._damaged("its directory ends early")
            fields = _ENTRY.unpack(head)
            lengths = fields[10:13]  # of the name, the extra fields and the comment
            rest = entries.read(sum(lengths))
            if len(rest) < sum(lengths):
                raise self._damaged("its directory ends early")
            place += _ENTRY.size + len(rest)
            yield self._member(fields, rest[: lengths[0]], rest[lengths[0] : lengths[0] + lengths[1]])

    def _member(self, fields: tuple, raw: bytes, extra: bytes) -> Member:
        flags, method, crc = fields[3], fields[4], fields[7]
        try:
            name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
        except UnicodeDecodeError as error:
            raise self._damaged(f"the name {raw[:80]!r} of a member is no UTF-8") from error
        # In this order they follow in the extra field, each if the directory has no room for it.
        short = {"size": fields[9], "packed": fields[8], "offset": fields[16]}
        wide = _wide(extra) if extra else None
        for key, value in short.items():
            if value == _UNKNOWN and wide is not None:
                if len(wide) < 8:
                    raise self._damaged(f"the sizes of {name[:80]!r} are missing")
                short[key], wide = int.from_bytes(wide[:8], "little"), wide[8:]
        return Member(
            name, raw, method, flags, crc, short["packed"], short["size"], short["offset"] + self._before,
            fields[15] >> 16,
        )  # fmt: skip

    def _apart(self) -> None:
        """Refuses members that share bytes: so a few of these would be counted again and again."""
        starts, ends = array("Q"), array("Q")
        for member in self:
            end = member.offset + _LOCAL.size + len(member.raw) + member.packed
            if end > self._start:
                raise self._damaged(f"{member.name[:80]!r} lies outside of it")
            starts.append(member.offset)
            ends.append(end)
        begin, end = np.asarray(starts), np.asarray(ends)
        order = np.argsort(begin)
        if (begin[order][1:] < end[order][:-1]).any():
            raise UnsafeArchiveError(f"{self.label} has members that overlap, which is refused")

    def place(self, member: Member) -> Window:
        """A member's bytes in the archive, as they are packed.

        Raises:
            UnsafeArchiveError: if they are encrypted, or the member's own header says other things than the directory.
        """
        if member.flags & _ENCRYPTED:
            raise UnsafeArchiveError(f"{self.label}: the member {member.name[:80]!r} is encrypted, which is refused")
        self.file.seek(member.offset)
        head = self.file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
            raise self._damaged(f"{member.name[:80]!r} is not where the directory says")
        fields = _LOCAL.unpack(head)
        if self.file.read(fields[9]) != member.raw or fields[3] != member.method or fields[2] & _ENCRYPTED:
            raise self._damaged(f"{member.name[:80]!r} is described in two ways")
        start = member.offset + _LOCAL.size + fields[9] + fields[10]
        if start + member.packed > self._start or (member.method == STORED and member.packed != member.size):
            raise self._damaged(f"{member.name[:80]!r} is shorter than the directory says")
        return Window(self.file, start, member.packed)

    def known(self, member: Member, methods: tuple[int, ...]) -> None:
        """Refuses a member that is packed in another way than these."""
        if member.method not in methods:
            known = "0 stored, 8 deflated, 12 bzip2, 14 LZMA"
            raise UnsafeArchiveError(
                f"{self.label}: the member {member.name[:80]!r} is packed with method {member.method}, which is "
                f"refused; expected one of {', '.join(str(m) for m in methods)} ({known})"
            )

    def open(self, member: Member, budget: Budget, methods: tuple[int, ...] = (STORED, DEFLATED)) -> io.BufferedReader:
        """A member's content, whose size and checksum are looked at when all is read.

        Args:
            member: of this archive.
            budget: for what comes out; stored members, which are no larger than the archive, take nothing from it.
            methods: the ways of packing that are read.
        """
        self.known(member, methods)
        source: Any = self.place(member)
        label = f"{self.label}: the member {member.name[:80]!r}"
        if member.method != STORED:
            marked = member.flags & _LZMA_END
            decoder = {
                DEFLATED: bounded.inflate, BZIP2: bz2.BZ2Decompressor,
                LZMA: lambda: bounded.lzma_of_zip(None if marked else member.size),
            }[member.method]  # fmt: skip
            source = Unpacked(source, decoder, budget, label)
        return io.BufferedReader(_Checked(source, member, label), 1 << 18)


class _Checked(io.RawIOBase):
    """A member's content, which must be as long as the directory says and have its checksum."""

    def __init__(self, source: Any, member: Member, label: str):
        super().__init__()
        self._source, self._member, self._label = source, member, label
        self._crc = self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = self._source.readinto(view)
        self._crc, self._seen = zlib.crc32(view[:count], self._crc), self._seen + count
        if self._seen > self._member.size or (not count and len(view) and self._seen < self._member.size):
            raise UnsafeArchiveError(f"{self._label} has not the {self._member.size:,} bytes that it declares: damaged")
        if not count and len(view) and self._crc != self._member.crc:
            raise UnsafeArchiveError(f"{self._label}: its checksum does not fit: it is damaged")
        return count


def directory(file: Any) -> tuple[int, int, int] | None:
    """Where the directory of a zip archive begins, its bytes, and those before the archive; None if there is none."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - _END.size - _COMMENT, 0)
    file.seek(start)
    tail = file.read(size - start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        return None
    end = start + found
    _, _, _, _, _, length, offset, _ = _END.unpack_from(tail, found)
    wide = end - _LOCATOR.size - _END64.size
    if wide >= 0:
        file.seek(wide)
        head = file.read(_END64.size + _LOCATOR.size)
        if head[:4] == b"PK\x06\x06" and head[_END64.size : _END64.size + 4] == b"PK\x06\x07":
            length, offset, end = *_END64.unpack_from(head)[8:10], wide
    return end - length, length, end - length - offset


def _wide(extra: bytes) -> bytes | None:
    """The 64-bit sizes among a member's extra fields."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1:
            return extra[place + 4 : place + 4 + length]
        place += 4 + length
    return None
