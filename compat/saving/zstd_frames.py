"""How much a zstd frame makes of its bytes, known from its headers without unpacking it (RFC 8878)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 17  # the most bytes that a block makes
_WINDOW = 8 << 20  # bytes of window that every decoder has for a frame
_LEAST = 1 << 10  # what a block counts at least, so that many empty ones do not take long
_RAW, _RLE, _COMPRESSED, _RESERVED = range(4)
_CONTENT_SIZES = (0, 2, 4, 8)  # bytes of the header's field, by its flag
_DICTIONARY_SIZES = (0, 1, 2, 4)


def check_frame(label: str, data: Any, start: int, end: int, most: int) -> int:
    """How many bytes a frame makes at most: all of a raw or repeated block, 128 KiB of a compressed one.

    The frame's own word for it is not taken, because decoders compare it when the bytes are there.

    Args:
        label: how errors call the frame.
        data: the bytes, or a map of a file.
        start, end: where the frame is, and nothing else.
        most: how many bytes it may make, or a window that it asks for may have.

    Raises:
        ValueError: if it can make more, or is no single whole frame.
    """
    place, window, has_checksum = _header(label, data, start, end)
    if window > max(most, _WINDOW):
        raise ValueError(
            f"{label} asks for a window of {window:,} bytes to be unpacked; {most:,} are plausible: refused"
        )
    made = 0
    last = False
    while not last:
        if place + 3 > end:
            raise _damaged(label)
        header = int.from_bytes(data[place : place + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > _BLOCK:
            raise _damaged(label)
        made += max(size if kind != _COMPRESSED else min(window, _BLOCK), _LEAST)
        if made > most:
            raise ValueError(
                f"{label} has {end - start:,} bytes, which unpack to {made:,} or more; {most:,} are plausible: refused"
            )
        place += 3 + (1 if kind == _RLE else size)
    if place + 4 * has_checksum != end:
        raise _damaged(label)
    return made


def _header(label: str, data: Sequence[int], start: int, end: int) -> tuple[int, int, bool]:
    """Where the blocks begin, the window's size, and whether a checksum follows."""
    head = bytes(data[start : min(start + 18, end)])  # the longest header
    if len(head) < 9 or head[:4] != _MAGIC:
        raise _damaged(label)
    flags = head[4]
    single = bool(flags & 32)
    content_size = _CONTENT_SIZES[flags >> 6] or int(single)
    place = 5 + (not single) + _DICTIONARY_SIZES[flags & 3]
    if single:
        window = int.from_bytes(head[place : place + content_size], "little") + 256 * (content_size == 2)
    else:
        base = 1 << (10 + (head[5] >> 3))
        window = base + base // 8 * (head[5] & 7)
    return start + place + content_size, window, bool(flags & 4)


def _damaged(label: str) -> ValueError:
    return ValueError(f"{label} is not one whole zstd frame: it is damaged, or cut")
