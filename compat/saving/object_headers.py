"""What the objects of an HDF5 file say of themselves, read from its bytes before the HDF5 library sees them.

The library believes a file: a tree that contains itself ends the process, a false length of a string
takes gigabytes, a false size in a heap never returns. So the skeleton of every object (superblock, object
header, trees of names and chunks, heap of names) is followed here first. The invariant: the pieces of an
honest file do not overlap, so all that is read here together is no longer than the file.

Source: "HDF5 File Format Specification Version 3.0", The HDF Group.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = (1 << 64) - 1
_SPACE, _LINK_INFO, _TYPE, _EXTERNAL, _LAYOUT, _ATTRIBUTE = 0x01, 0x02, 0x03, 0x07, 0x08, 0x0C
_CONTINUATION, _TREE_OF_NAMES, _ATTRIBUTE_INFO = 0x10, 0x11, 0x15
_FIXED_TEXT, _VARIABLE = 3, 9  # classes of types
_MOST_TYPE = 4096  # bytes of the description of a number's type
_DEEPEST = 32  # levels of a tree
_TEXTS = 8  # how often the bytes of a file may be read as texts


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
        return self.kind in (_FIXED_TEXT, _VARIABLE)


class ObjectHeaders:
    """The object headers of an HDF5 file.

    Args:
        file: a seekable binary file, which others may read too.

    Raises:
        ValueError: as all methods do, if the file is damaged or uses what no writer of models needs.
    """

    def __init__(self, file: Any):
        self.file = file
        self.size = file.seek(0, os.SEEK_END)
        self.left, self.texts_left = self.size, _TEXTS * self.size
        self._checked: dict[int, dict[str, Any]] = {}
        self._heaps: dict[int, dict[int, bytes]] = {}
        self._trees: set[int] = set()
        self.root = self._superblock()

    def bytes(self, address: int, size: int) -> bytes:
        """A part of the file."""
        if address + size > self.size:
            raise ValueError(f"it refers to bytes {address:,} to {address + size:,}, and has {self.size:,}")
        self.file.seek(address)
        found = self.file.read(size)
        if len(found) != size:
            raise ValueError("it ends too early")
        return found

    def _once(self, address: int, size: int) -> bytes:
        """A part that belongs to one object alone."""
        self.left -= size
        if self.left < 0:
            raise ValueError("its parts overlap: together they are larger than the file, which is refused")
        return self.bytes(address, size)

    def _superblock(self) -> int:
        """The address of the root group."""
        block = self.bytes(0, min(self.size, 96))
        if block[:8] != _SIGNATURE or len(block) < 96:
            raise ValueError("it does not begin as an HDF5 file")
        version = block[8]
        if version in (0, 1):
            start = 24 if version == 0 else 28
            base, _, _, driver, _, root = struct.unpack_from("<6Q", block, start)
            sizes, others = block[13:15], driver
        elif version in (2, 3):
            base, others, _, root = struct.unpack_from("<4Q", block, 12)
            sizes = block[9:11]
        else:
            raise ValueError(f"it is of version {version} of the format; known are 0 to 3")
        if sizes != b"\x08\x08" or base != 0 or others != _UNDEFINED:
            raise ValueError("it has a driver, an extension or addresses of its own kind, which is refused")
        return root

    def check(self, address: int) -> None:
        """Follows the skeleton of an object to its end."""
        if address in self._checked:
            return
        try:
            self._checked[address] = self._read(address)
        except (struct.error, IndexError) as error:
            raise ValueError(f"the description of an object ends too early ({error})") from error

    def is_group(self, address: int) -> bool:
        """Whether an object is a group; else it is an array or a type."""
        self.check(address)
        return self._checked[address]["group"]

    def attribute(self, address: int, name: str) -> Attribute | None:
        """An attribute of an object, None if it has none of that name."""
        self.check(address)
        found = self._checked[address]["attributes"].get(name)
        if found is None and self._checked[address]["dense"]:
            raise ValueError("it keeps attributes apart from their object, which is refused: write it anew with h5py")
        return found

    def attributes(self, address: int) -> list[str]:
        """The names of an object's attributes."""
        self.check(address)
        return list(self._checked[address]["attributes"])

    def texts(self, attribute: Attribute) -> list[bytes]:
        """The texts in an attribute; each of variable length must be as long as its place in the heap says."""
        count = 1
        for n in attribute.shape:
            count *= n
        if count * attribute.size > len(attribute.data):
            raise ValueError(f"an attribute declares {count:,} elements, more than it stores")
        if not count:
            return []
        items = [attribute.data[i * attribute.size : (i + 1) * attribute.size] for i in range(count)]
        if attribute.kind == _VARIABLE:
            items = [self._variable(item) for item in items]
        elif not attribute.is_text:
            raise ValueError("an attribute is no text")
        if attribute.padding == 0:
            return [item.partition(b"\0")[0] for item in items]
        return [item.rstrip(b"\0" if attribute.padding == 1 else b" ") for item in items]

    def _variable(self, reference: bytes) -> bytes:
        length, address, index = struct.unpack("<IQI", reference)
        if length == 0:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._heap(address)
        content = self._heaps[address].get(index)
        if content is None or len(content) != length:
            raise ValueError(f"a text declares {length:,} bytes, and the heap has {len(content or b''):,} for it")
        self.texts_left -= length
        if self.texts_left < 0:
            raise ValueError("its texts share their bytes: together they are far larger than the file")
        return content

    def _heap(self, address: int) -> dict[int, bytes]:
        head = self.bytes(address, 16)
        size = int.from_bytes(head[8:], "little")
        if head[:4] != b"GCOL":
            raise ValueError("a heap of texts is not where it should be")
        block, found, at = self._once(address, size), {}, 16
        while at + 16 <= size:
            index, _, length = struct.unpack_from("<HHxxxxQ", block, at)
            if index == 0:  # the rest is free
                break
            if at + 16 + length > size:
                raise ValueError(f"a text in a heap declares {length:,} bytes, more than the heap has")
            found[index] = block[at + 16 : at + 16 + length]
            at += 16 + -(-length // 8) * 8
        return found

    def _read(self, address: int) -> dict[str, Any]:
        found: dict[str, Any] = {"group": False, "dense": False, "attributes": {}}
        for kind, flags, body in self._messages(address):
            if flags & 2:
                raise ValueError("an object shares a part of its description with others, which is refused")
            if kind == _ATTRIBUTE:
                name, attribute = _attribute(body)
                if name in found["attributes"]:
                    raise ValueError(f"an object has two attributes {name!r}")
                found["attributes"][name] = attribute
            elif kind in (_LINK_INFO, _ATTRIBUTE_INFO):
                dense = self._dense(body, 8 if kind == _LINK_INFO else 2)
                found["group"] |= kind == _LINK_INFO
                found["dense"] |= dense and kind == _ATTRIBUTE_INFO
            elif kind == _TREE_OF_NAMES:
                found["group"] = True
                tree, names = struct.unpack_from("<2Q", body)
                self._names(names)
                self._tree(tree, 0, 8)
            elif kind == _LAYOUT:
                self._layout(body)
            elif kind == _EXTERNAL:
                raise ValueError("an external data set keeps its data in other files, which is refused")
            elif kind == _TYPE and len(body) > _MOST_TYPE:
                raise ValueError("an array has a type that is no number")
        return found

    def _messages(self, address: int) -> Iterator[tuple[int, int, bytes]]:
        """`(kind, flags, body)` of an object's messages, in all blocks of its header."""
        first = self.bytes(address, 16)
        if first[:4] == b"OHDR":
            start, size, head, extra = self._second_version(address, first)
        elif first[0] == 1:
            start, size, head, extra = address + 16, int.from_bytes(first[8:12], "little"), "<HHBxxx", 0
        else:
            raise ValueError("an object is not where it should be")
        blocks = [(start, size)]
        step = struct.calcsize(head) + extra
        for start, size in blocks:
            block, at = self._once(start, size), 0
            while at + step <= size:
                kind, length, flags = struct.unpack_from(head, block, at)
                body = block[at + step : at + step + length]
                if len(body) != length:
                    raise ValueError("a description of an object is cut off")
                at += step + length
                if kind == _CONTINUATION:
                    place, more = struct.unpack_from("<2Q", body)
                    # the later version puts a signature before, and a checksum behind
                    blocks.append((place, more) if head == "<HHBxxx" else (place + 4, max(more - 8, 0)))
                else:
                    yield kind, flags, body

    def _second_version(self, address: int, first: bytes) -> tuple[int, int, str, int]:
        flags, start = first[5], address + 6
        start += 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.bytes(start, width), "little")
        return start + width, size, "<BHB", 2 * bool(flags & 4)

    def _dense(self, body: bytes, counter: int) -> bool:
        """Checks the heap and the tree of names that are kept apart; whether there are any."""
        at = 2 + counter * (body[1] & 1)
        heap, tree = struct.unpack_from("<2Q", body, at)
        if heap == _UNDEFINED:
            return False
        head = self.bytes(heap, 10)
        if head[:4] != b"FRHP" or head[7:9] != b"\0\0":
            raise ValueError("a heap of names is damaged or compressed, which is refused")
        self._later_tree(tree)
        if body[1] & 2:
            self._later_tree(struct.unpack_from("<Q", body, at + 16)[0])
        return True

    def _later_tree(self, address: int) -> None:
        if address == _UNDEFINED:
            return
        head = self._once(address, 34)
        depth, count = int.from_bytes(head[12:14], "little"), int.from_bytes(head[26:34], "little")
        if head[:4] != b"BTHD" or depth > _DEEPEST or count > self.size // 8:
            raise ValueError("a tree is damaged or deeper than its file allows")

    def _layout(self, body: bytes) -> None:
        """Checks where the data of an array are, and the tree of its chunks."""
        version = body[0]
        rank, kind = (body[1], body[2]) if version in (1, 2) else (body[2], body[1])
        if version not in (1, 2, 3, 4) or kind > 3:
            raise ValueError("the layout of an array is unknown")
        if kind == 3:
            raise ValueError("a virtual data set has its data outside of the file, which is refused")
        if kind != 2:
            return
        if version < 4:
            tree = int.from_bytes(body[8:16] if version < 3 else body[3:11], "little")
            self._tree(tree, 1, 8 + 8 * rank)
        else:
            width = body[4]
            index = body[5 + body[3] * width]
            if index == 5:
                self._later_tree(int.from_bytes(body[-8:], "little"))

    def _tree(self, root: int, kind: int, key: int) -> None:
        """Visits each node of a tree of names (0) or chunks (1) once, level by level."""
        if root == _UNDEFINED:
            return
        level, nodes = -1, [root]  # the root says how many there are
        while nodes:
            below: list[int] = []
            for node in nodes:
                if node in self._trees:
                    raise ValueError("a tree of names or chunks comes to one place twice, which is refused")
                self._trees.add(node)
                head = self._once(node, 24)
                if head[:4] != b"TREE" or head[4] != kind or (level >= 0 and head[5] != level):
                    raise ValueError("a tree of names or chunks is damaged")
                level = head[5]
                used = int.from_bytes(head[6:8], "little")
                entries = self._once(node + 24, used * (key + 8))
                ends = range(key + 8, len(entries) + 1, key + 8)
                below += [int.from_bytes(entries[end - 8 : end], "little") for end in ends]
            if level == 0:
                if self._trees.intersection(below) or len(set(below)) != len(below):
                    raise ValueError("a tree of names or chunks comes to one place twice, which is refused")
                self._trees.update(below)
                return
            level, nodes = level - 1, below

    def _names(self, address: int) -> None:
        """Follows the list of free places in a heap of names."""
        head = self._once(address, 32)
        size, free, data = struct.unpack_from("<3Q", head, 8)
        if head[:4] != b"HEAP":
            raise ValueError("a heap of names is not where it should be")
        block, seen = self._once(data, size), set()
        while free != 1:  # which ends the list
            if free in seen or free + 16 > size:
                raise ValueError("the free places of a heap of names come back to one, or lie outside of it")
            seen.add(free)
            free = int.from_bytes(block[free : free + 8], "little")


def _attribute(body: bytes) -> tuple[str, Attribute]:
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
    if kind[0] & 15 != _VARIABLE:
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
