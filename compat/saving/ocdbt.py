"""Where the values of an OCDBT database are, TensorStore's files of keys and values in which Orbax keeps arrays.

TensorStore unpacks the database's nodes and says what is in them; each is looked at before, because one
may unpack to much more than its bytes. Values are not read, but found: what a key has can be looked at in place.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from typing import Any, NamedTuple

from compat.saving.zstd_frames import check_frame

MANIFEST = "manifest.ocdbt"
_MANIFEST_MAGIC, _NODE_MAGIC = b"\x0c\xdb\x3a\x2a", b"\x0c\xdb\x20\xde"
_HEADER = 14  # bytes: the magic, the length, the version, how it is compressed
_CHECKSUM = 4  # bytes
_NAME = r"[\w-][\w.-]*"
_PLACE = re.compile(rf"(?:btreenode|value):((?:{_NAME}/)*):((?:{_NAME}/)*{_NAME}):(\d{{1,15}}):(\d{{1,15}})", re.ASCII)
# TensorStore makes objects of about 800 bytes of each entry of a node, and an entry may have 5 bytes. Orbax's have 290
# on average: nodes of all sizes had less bytes than the files beside them, of which each array has 700 or more.
_NODES = 1 << 19  # bytes of nodes that each database may have, however small its files are
_EXPANSION = 2  # how much larger than all files nodes may be beyond that
_ENTRIES = 1 << 12  # how many keys each database may have, however small its files are
_BYTES_PER_ENTRY = 16  # of files, for each key beyond that; the least seen was a chunk of 30


class Piece(NamedTuple):
    """Bytes in a file, or of their own."""

    data: Any
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def read(self) -> bytes:
        """The bytes."""
        return bytes(self.data[self.start : self.end])


class Files:
    """The files of a folder, mapped when they are first asked for; a context that closes them."""

    def __init__(self, folder: str):
        self.folder = folder
        self._maps: dict[str, Any] = {}

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *exception: object) -> None:
        for mapped in self._maps.values():
            with contextlib.suppress(AttributeError):  # nothing is mapped of an empty file
                mapped.close()

    def names(self) -> list[str]:
        """The paths of all files."""
        found = [os.path.join(w, n) for w, _, names in os.walk(self.folder) for n in names]
        return [os.path.relpath(path, self.folder) for path in found]

    def size(self) -> int:
        """The bytes of all files."""
        return sum(os.path.getsize(os.path.join(self.folder, name)) for name in self.names())

    def piece(self, name: str, start: int = 0, size: int | None = None) -> Piece:
        """A part of a file, the whole without `size`.

        Raises:
            ValueError: if there is no such file, or it is shorter.
        """
        path = os.path.join(self.folder, name)
        if name not in self._maps:
            if not os.path.isfile(path):
                raise ValueError(f"{path!r} is missing in the checkpoint, which has data in it: copy it again, whole")
            with open(path, "rb") as file:
                empty = not os.fstat(file.fileno()).st_size
                self._maps[name] = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data = self._maps[name]
        end = len(data) if size is None else start + size
        if end > len(data):
            raise ValueError(f"{path!r} has {len(data):,} bytes of {end:,} or more: it is cut, copy it again, whole")
        return Piece(data, start, end)


def values(files: Files) -> dict[str, Piece]:
    """What the database in a folder has for each key, in its last version.

    Raises:
        ValueError: if nodes are missing, cut, damaged, or unpack to far more than the files' bytes.
    """
    import tensorstore

    base = tensorstore.KvStore.open({"driver": "file", "path": f"{files.folder}/"}).result()
    size = files.size()
    allowance = _Allowance(_NODES + _EXPANSION * size, _ENTRIES + size // _BYTES_PER_ENTRY)
    allowance.take(os.path.join(files.folder, MANIFEST), files.piece(MANIFEST), _MANIFEST_MAGIC)
    manifest = tensorstore.ocdbt.dump(base).result()
    if manifest["config"].get("manifest_kind", "single") != "single":
        raise ValueError(f"{files.folder!r} has its manifest in several files, as no checkpoint has: refused")
    root = manifest["versions"][-1]["root"].get("location")
    found: dict[str, Piece] = {}
    waiting = [(b"", root)] if root else []
    seen: set[tuple[int, int]] = set()  # maps of files, which are one each, and places in them
    while waiting:
        prefix, location = waiting.pop()
        node = _located(files, location)
        if (id(node.data), node.start) in seen:
            raise ValueError(f"{files.folder!r} has a node of keys in two places, as no checkpoint has: refused")
        seen.add((id(node.data), node.start))
        allowance.take(f"{files.folder!r}: the node {location}", node, _NODE_MAGIC)
        entries = tensorstore.ocdbt.dump(base, location).result()["entries"]
        allowance.take_entries(files.folder, len(entries))
        for entry in entries:
            if "location" in entry:
                waiting.append((prefix + entry["subtree_common_prefix"], entry["location"]))
            else:
                found[(prefix + entry["key"]).decode("utf-8", "surrogateescape")] = _value(files, entry)
    return found


class _Allowance:
    """How many bytes nodes may still unpack to, and how many entries they may still have."""

    def __init__(self, left: int, entries: int):
        self.left, self.entries = left, entries

    def take_entries(self, folder: str, count: int) -> None:
        """Takes the entries of a node."""
        self.entries -= count
        if self.entries < 0:
            raise ValueError(
                f"{folder!r} has a database of more keys than its files can have arrays for, which is refused"
            )

    def take(self, label: str, node: Piece, magic: bytes) -> None:
        """Takes what a node, which is about to be unpacked, makes at most."""
        head = bytes(node.data[node.start : node.start + _HEADER])
        if len(node) < _HEADER + _CHECKSUM or head[:4] != magic or head[12] != 0 or head[13] > 1:
            raise ValueError(f"{label} is no part of a database: it is damaged, or cut")
        if head[13] == 1:
            self.left -= check_frame(label, node.data, node.start + _HEADER, node.end - _CHECKSUM, self.left)
        else:
            self.left -= len(node)
            if self.left < 0:
                raise ValueError(f"{label} has {len(node):,} bytes of keys, more than its files have data for: refused")


def _located(files: Files, location: str) -> Piece:
    found = _PLACE.fullmatch(location)
    if found is None:
        raise ValueError(f"{files.folder!r} has data at {location[:200]!r}, which is no file of it: refused")
    base, name, start, size = found.groups()
    return files.piece(base + name, int(start), int(size))


def _value(files: Files, entry: dict[str, Any]) -> Piece:
    inline = entry.get("inline_value")
    return _located(files, entry["indirect_value"]) if inline is None else Piece(inline, 0, len(inline))
