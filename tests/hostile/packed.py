"""Archives that lie, of a few kB: zips whose every field can be set, and streams that expand without end."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import struct
import tarfile
import zlib
from typing import NamedTuple

_LOCAL, _ENTRY = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L")
_WIDE = 0xFFFFFFFF


class Part(NamedTuple):
    """A member of a zip, and what its headers say; None stands for the truth."""

    name: str
    content: bytes = b""  # as it is packed
    method: int = 0
    size: int | None = None
    packed: int | None = None
    crc: int | None = None
    flags: int = 0
    mode: int = 0
    offset: int | None = None
    local_name: str | None = None
    extra: bytes = b""  # in the directory
    local_extra: bytes = b""
    body: bool = True  # whether its own header and content are written


def zipped(parts: list[Part], comment: bytes = b"") -> bytes:
    """A zip archive."""
    out, directory = io.BytesIO(), io.BytesIO()
    for part in parts:
        offset = out.tell()
        packed = len(part.content) if part.packed is None else part.packed
        size = (len(part.content) if not part.method else 0) if part.size is None else part.size
        crc = zlib.crc32(part.content) if part.crc is None else part.crc
        name = part.name.encode("utf-8", "surrogateescape")
        if part.body:
            own = name if part.local_name is None else part.local_name.encode()
            lengths = min(packed, _WIDE), min(size, _WIDE), len(own), len(part.local_extra)
            out.write(_LOCAL.pack(b"PK\3\4", 20, part.flags | 0x800, part.method, 0, 33, crc, *lengths))
            out.write(own + part.local_extra + part.content)
        wide = b"".join(struct.pack("<Q", n) for n in (size, packed) if n >= _WIDE)
        extra = part.extra + (struct.pack("<2H", 1, len(wide)) + wide if wide else b"")
        lengths = min(packed, _WIDE), min(size, _WIDE), len(name), len(extra), 0, 0, 0
        place = part.mode << 16, offset if part.offset is None else part.offset
        directory.write(_ENTRY.pack(b"PK\1\2", 788, 20, part.flags | 0x800, part.method, 0, 33, crc, *lengths, *place))
        directory.write(name + extra)
    place = directory.tell(), out.tell()
    count = min(len(parts), 0xFFFF)
    out.write(directory.getvalue())
    out.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, *place, len(comment)))
    return out.getvalue() + comment


def deflated(content: bytes) -> bytes:
    """As zip members have it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def deflated_zeros(blocks: int, text: bytes = bytes(1 << 24)) -> bytes:
    """That many times 16 MB, 16 kB packed each: compressed once, and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)) * blocks + b"\x03\x00"


@functools.cache
def bzip2_zeros() -> bytes:
    """80 MB in a hundred bytes."""
    return bz2.compress(bytes(80 << 20))


def gzip_zeros(streams: int) -> bytes:
    """Streams of 16 MB one after the other."""
    return gzip.compress(bytes(1 << 24), mtime=0) * streams


def header(name: str = "a", size: int | bytes = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header of a tar archive; its size may be given as it is written, and `magic` and `rest` set."""
    written = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(512)
    block[:100] = name.encode()[:100].ljust(100, b"\0")
    block[100:136] = b"0000644\0" + b"0000000\0" * 2 + written.ljust(12, b"\0")
    block[136:157] = b"00000000000\0" + b" " * 8 + kind
    block[257:265] = fields.get("magic", b"ustar\x0000")
    block[345 : 345 + len(fields.get("rest", b""))] = fields.get("rest", b"")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tarred(*names: str, content: bytes = b"x", **options: int) -> bytes:
    """An honest tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()
