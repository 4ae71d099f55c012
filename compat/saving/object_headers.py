"""What the objects of an HDF5 file say of themselves, read from its bytes before the HDF5 library sees them.

The library believes a file: a tree that contains itself ends the process, a false length of a string
takes gigabytes, a false size in a heap never returns. So the skeleton of every object (superblock, object
header, trees of names and chunks, heap of names) is followed here first. The invariant: the pieces of an
honest file do not overlap, so all that is read here together is no longer than the file.

Source: "HDF5 File Format Specification Version 3.0", The HDF Group.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Callable
from typing import Any

from compat.saving.stored_attributes import VARIABLE, Attribute, attribute_of

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = (1 << 64) - 1
_SPACE, _LINK_INFO, _TYPE, _EXTERNAL, _LAYOUT, _ATTRIBUTE = 0x01, 0x02, 0x03, 0x07, 0x08, 0x0C
_CONTINUATION, _TREE_OF_NAMES, _ATTRIBUTE_INFO = 0x10, 0x11, 0x15
_MOST_TYPE = 4096  # bytes of the description of a number's type
_WHOLE = 1 << 20  # bytes of a file that are kept in memory
_DEEPEST = 32  # levels of a tree
_DIRECT = (b"\3\0", b"\3\1")  # layouts of version 3 without chunks: the data are at one place, or in the header
_FIRST = "<HHBxxx"  # kind, length and flags of a message, in headers of the first version
_TEXTS = 8  # how often the bytes of a file may be read as texts


class _Parts:
    """The bytes of a file that is not in memory, to be cut out of like those of one that is."""

    def __init__(self, file: Any, size: int):
        self.file, self.size = file, size

    def __getitem__(self, part: slice) -> bytes:
        if part.start > self.size:
            return b""
        self.file.seek(part.start)
        return self.file.read(min(part.stop, self.size) - part.start)


class Described:
    """What an object of the file says of itself."""

    address: int  # of its header
    group = False  # else it is an array or a type
    dense = False  # whether it keeps attributes apart, which are not read
    attributes: dict[str, Attribute]

    def attribute(self, name: str) -> Attribute | None:
        """An attribute, None if there is none of that name."""
        found = self.attributes.get(name)
        if found is None and self.dense:
            raise ValueError("it keeps attributes apart from their object, which is refused: write it anew with h5py")
        return found


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
        file.seek(0)
        # A small file is kept, so that its parts are cut out of it; of a large one each is read when it is asked for.
        self._content = file.read() if self.size <= _WHOLE else _Parts(file, self.size)
        self.left, self.texts_left = self.size, _TEXTS * self.size
        self._described: dict[int, Described] = {}
        self._heaps: dict[int, dict[int, bytes]] = {}
        self._trees: set[int] = set()
        self.root = self._superblock()

    def bytes(self, address: int, size: int) -> bytes:
        """A part of the file."""
        if address + size > self.size:
            raise ValueError(f"it refers to bytes {address:,} to {address + size:,}, and has {self.size:,}")
        found = self._content[address : address + size]
        if len(found) != size:
            raise ValueError("it ends too early")
        return found

    def _once(self, address: int, size: int) -> bytes:
        """A part that belongs to one object alone."""
        self.left -= size
        if self.left < 0:
            raise ValueError("its parts overlap: together they are larger than the file, which is refused")
        if address + size <= self.size and len(found := self._content[address : address + size]) == size:
            return found
        return self.bytes(address, size)  # which says what is wrong

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

    def described(self, address: int) -> Described:
        """What an object says of itself, the messages in all blocks of its header followed to their end."""
        found = self._described.get(address)
        if found is not None:
            return found
        found = Described()
        found.address, found.attributes = address, {}
        first = self._content[address : address + 16]
        plain = len(first) == 16 and first[0] == 1
        start, size, head, extra = (
            (address + 16, int.from_bytes(first[8:12], "little"), _FIRST, 0) if plain else self._later_header(address)
        )
        blocks, step = [(start, size)], struct.calcsize(head) + extra
        try:
            for start, size in blocks:
                block, at = self._once(start, size), 0
                while at + step <= size:
                    kind, length, flags = struct.unpack_from(head, block, at)
                    at += step + length
                    body = block[at - length : at]
                    if len(body) != length:
                        raise ValueError("a description of an object is cut off")
                    if kind == _CONTINUATION:
                        place, more = struct.unpack_from("<2Q", body)
                        # the later version puts a signature before, and a checksum behind
                        blocks.append((place, more) if plain else (place + 4, max(more - 8, 0)))
                    elif flags & 2:
                        raise ValueError("an object shares a part of its description with others, which is refused")
                    elif kind in _FOLLOWED and (kind != _LAYOUT or body[:2] not in _DIRECT or length == 2):
                        _FOLLOWED[kind](self, found, body)
                    elif kind == _TYPE and length > _MOST_TYPE:
                        raise ValueError("an array has a type that is no number")
        except (struct.error, IndexError) as error:
            raise ValueError(f"the description of an object ends too early ({error})") from error
        self._described[address] = found
        return found

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
        if attribute.kind == VARIABLE:
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

    def _later_header(self, address: int) -> tuple[int, int, str, int]:
        """Of the second version: where the first block is, its size, how a message begins, the bytes behind that."""
        first = self.bytes(address, 16)
        if first[:4] != b"OHDR":
            raise ValueError("an object is not where it should be")
        flags, start = first[5], address + 6
        start += 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.bytes(start, width), "little")
        return start + width, size, "<BHB", 2 * bool(flags & 4)

    def _attribute(self, found: Described, body: bytes) -> None:
        name, attribute = attribute_of(body)
        if name in found.attributes:
            raise ValueError(f"an object has two attributes {name!r}")
        found.attributes[name] = attribute

    def _links(self, found: Described, body: bytes) -> None:
        self._dense(body, 8)
        found.group = True

    def _many_attributes(self, found: Described, body: bytes) -> None:
        found.dense |= self._dense(body, 2)

    def _external(self, found: Described, body: bytes) -> None:
        raise ValueError("an external data set keeps its data in other files, which is refused")

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

    def _layout(self, found: Described, body: bytes) -> None:
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
                head = self._content[node : node + 24]
                if head[:4] != b"TREE" or len(head) < 24 or head[4] != kind or (level >= 0 and head[5] != level):
                    self._once(node, 24)  # which says if there is no room for one
                    raise ValueError("a tree of names or chunks is damaged")
                self.left -= 24
                level = head[5]
                used = int.from_bytes(head[6:8], "little")
                entries = self._once(node + 24, used * (key + 8))
                below += itertools.chain.from_iterable(struct.iter_unpack(f"<{key}xQ", entries))
            if level == 0:
                if self._trees.intersection(below) or len(set(below)) != len(below):
                    raise ValueError("a tree of names or chunks comes to one place twice, which is refused")
                self._trees.update(below)
                return
            level, nodes = level - 1, below

    def _names(self, found: Described, body: bytes) -> None:
        """Follows the list of free places in a group's heap of names, and the tree of its names."""
        found.group = True
        tree, address = struct.unpack_from("<2Q", body)
        head = self._content[address : address + 32]
        if head[:4] != b"HEAP" or len(head) < 32:
            self._once(address, 32)  # which says if there is no room for one
            raise ValueError("a heap of names is not where it should be")
        self.left -= 32
        size, free, data = struct.unpack_from("<3Q", head, 8)
        block, seen = self._once(data, size), set()
        while free != 1:  # which ends the list
            if free in seen or free + 16 > size:
                raise ValueError("the free places of a heap of names come back to one, or lie outside of it")
            seen.add(free)
            free = int.from_bytes(block[free : free + 8], "little")
        self._tree(tree, 0, 8)


# What is done about a message, by its kind: what it says is noted or followed. All others are of no concern.
_FOLLOWED: dict[int, Callable[[ObjectHeaders, Described, bytes], None]] = {
    _ATTRIBUTE: ObjectHeaders._attribute,
    _LINK_INFO: ObjectHeaders._links,
    _ATTRIBUTE_INFO: ObjectHeaders._many_attributes,
    _TREE_OF_NAMES: ObjectHeaders._names,
    _LAYOUT: ObjectHeaders._layout,
    _EXTERNAL: ObjectHeaders._external,
}
