"""Attributes as the object headers of an HDF5 file store them.

Source: "HDF5 File Format Specification Version 3.0", The HDF Group.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_FIXED_TEXT, VARIABLE = 3, 9  # classes of types


class Attribute(NamedTuple):
    """An attribute as it is stored."""

    kind: int  # class of its type
    size: int  # bytes of an element
    padding: int  # of a text: 0 ends with a zero, 1 is filled up with zeros, 2 with blanks
    shape: tuple[int, ...]
    data: bytes

    @property
    def is_text(self) -> bool:
        """Whether its elements are texts."""
        return self.kind in (_FIXED_TEXT, VARIABLE)


def attribute_of(body: bytes) -> tuple[str, Attribute]:
    """The name and the attribute that a message of an object header holds.

    Raises:
        ValueError: if it is damaged, or uses what no writer of models needs.
    """
    version, flags, name_size, type_size, space_size = struct.unpack_from("<BBHHH", body)
    if version not in (1, 2, 3) or flags & 3:
        raise ValueError("an attribute is damaged, or shares its type with others, which is refused")
    at = 9 if version == 3 else 8
    pieces = []
    for size in (name_size, type_size, space_size):
        pieces.append(body[at : at + size])
        at += -(-size // 8) * 8 if version == 1 else size
    name, kind, space = pieces
    if at > len(body) or len(kind) < 8 or len(space) < 4:
        raise ValueError("an attribute is cut off")
    shape = _shape(space)
    return name.rstrip(b"\0").decode(), Attribute(
        kind[0] & 15, int.from_bytes(kind[4:8], "little"), _padding(kind), shape, body[at:]
    )


def _padding(kind: bytes) -> int:
    """Of a text; one of variable length has its length, so that its padding is of no use."""
    if kind[0] & 15 != VARIABLE:
        return kind[1] & 15
    if kind[1] & 15 != 1 or int.from_bytes(kind[4:8], "little") != 16:
        raise ValueError("an attribute is a list of variable length, which is no text")
    return 1


def _shape(space: bytes) -> tuple[int, ...]:
    version, rank = space[0], space[1]
    if version == 2 and space[3] == 2:  # nothing at all
        return (0,)
    at = 8 if version == 1 else 4
    if version not in (1, 2) or len(space) < at + 8 * rank:
        raise ValueError("the shape of an attribute is damaged")
    return struct.unpack_from(f"<{rank}Q", space, at)
