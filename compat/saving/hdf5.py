"""Groups and arrays of an HDF5 file from a stranger.

The library is used for what `object_headers` has followed before: names, shapes and plain data. Texts
and compressed chunks are read here, because it believes their declared sizes. All that is read of a file
is charged to one account, so that parts which share their bytes cost no more than the file is long.
"""

from __future__ import annotations

import contextlib
import math
import os
import zlib
from collections.abc import Iterator
from typing import Any

import h5py
import ml_dtypes
import numpy as np
from h5py import h5, h5d, h5g, h5l, h5s, h5t, h5z

from compat.saving.object_headers import Described, ObjectHeaders

_ALIGNMENT = 64  # bytes
_EXPANSION = 100  # how much larger than a file its arrays may be
_LEAST = 64 << 20  # bytes that the arrays of a file, however small, may have
_DEFLATE = 1100  # how much larger than its stored bytes an array may be: deflate reaches 1032
_SMALL_CHUNK = 1 << 20  # bytes that a chunk may have, however small its array is now
_FILTERS = ([], [h5z.FILTER_SHUFFLE], [h5z.FILTER_DEFLATE], [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE])
_NO_NAMES = ("", ".")  # which the library takes for the group itself
_LINKS = {h5l.TYPE_SOFT: "SoftLink", h5l.TYPE_EXTERNAL: "ExternalLink"}


@contextlib.contextmanager
def opened(source: Any) -> Iterator[Group]:
    """The root group of an HDF5 file; what is wrong with the file is a ValueError.

    Args:
        source: a path or a seekable binary file object.
    """
    label = f" in {os.fspath(source)!r}" if isinstance(source, (str, os.PathLike)) else ""
    with contextlib.ExitStack() as files:
        try:
            raw = files.enter_context(open(source, "rb")) if label else source
            store = _Store(ObjectHeaders(raw))
            root = store.headers.described(store.headers.root)
            file = files.enter_context(h5py.File(source, "r"))
        except FileNotFoundError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
            raise ValueError(
                f"the weights{label} cannot be read: {error}. The file is damaged, cut off or no HDF5 file of weights: "
                "copy it again, whole, or save it anew"
            ) from error
        try:
            yield Group(store, h5g.open(file.id, b"/"), root, "")
        except (OSError, RuntimeError, UnicodeError, MemoryError, TypeError, KeyError) as error:
            raise ValueError(
                f"the weights{label} cannot be read: {error}. The file is damaged: copy it again, whole, or save "
                "it anew"
            ) from error


class _Store:
    """What is known of an open file, and the account of what has been read of it."""

    def __init__(self, headers: ObjectHeaders):
        self.headers = headers
        self.stored_left = headers.size
        self.expanded_left = max(_EXPANSION * headers.size, _LEAST)
        self.charged: dict[int, str] = {}

    def charge(self, address: int, path: str, label: str, stored: int, expanded: int) -> None:
        """Books an array, each once; one that is in two places would be read for each of them."""
        if expanded > _DEFLATE * stored:
            raise ValueError(f"{label} declares {expanded:,} bytes, far more than the {stored:,} that the file stores")
        if address in self.charged:
            if self.charged[address] != path:
                raise ValueError(f"{label} is in two places of the file, also at {self.charged[address]!r}: refused")
            return
        self.charged[address] = path
        self.stored_left -= stored
        self.expanded_left -= expanded
        if self.stored_left < 0:
            raise ValueError(f"{label} shares its bytes with other arrays of the file, which is refused")
        if self.expanded_left < 0:
            raise ValueError(f"{label}: the file's arrays declare far more bytes than it stores, which is refused")


class Group:
    """A group of a file for reading: a mapping of its names, every step a hard link.

    Args:
        store: of the file.
        handle: of the library.
        described: what the group says of itself.
        path: how errors call it.
    """

    def __init__(self, store: _Store, handle: Any, described: Described, path: str):
        self.store, self.handle, self.described, self.path = store, handle, described, path
        self.address = described.address
        self._groups: dict[str, Group] = {}

    def __contains__(self, path: str) -> bool:
        holder, name = self._holder(path)
        known = holder is not None and name not in _NO_NAMES and "\0" not in name
        return known and holder.handle.links.exists(name.encode())

    def _holder(self, path: str) -> tuple[Group | None, str]:
        folder, separator, name = path.rpartition("/")
        return (self.group(folder) if separator else self), name

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return self.handle.get_num_objs()

    def names(self) -> list[str]:
        """The names in the group, each once."""
        found: set[bytes] = set()

        def take(name: bytes) -> Any:
            if name in found:
                return name
            found.add(name)
            return None

        # in the file's order: any other makes the library build a table of a declared size
        twice, _ = self.handle.links.iterate(take, order=h5.ITER_NATIVE)
        if twice is not None:
            raise ValueError(f"{self.path or '/'!r} has the name {twice.decode(errors='replace')!r} twice")
        return sorted(map(bytes.decode, found))

    def address_of(self, name: str) -> int | None:
        """Where an object of the group is, its skeleton checked; None if there is none of that name."""
        found = self._object(name)
        return None if found is None else found.address

    def _object(self, name: str) -> Described | None:
        """What an object of the group says of itself; None if there is none of that name."""
        if name in _NO_NAMES or "\0" in name or not self.handle.links.exists(name.encode()):
            return None
        link = self.handle.links.get_info(name.encode())
        if link.type != h5l.TYPE_HARD:
            kind = _LINKS.get(link.type, "unknown")
            raise ValueError(f"{self.path}/{name} is a link to somewhere else ({kind}), which is refused")
        try:
            return self.store.headers.described(link.u)
        except ValueError as error:
            raise ValueError(f"{self.path}/{name}: {error}") from error

    def is_group(self, name: str) -> bool:
        """Whether a name in the group is that of a group."""
        found = self._object(name)
        return found is not None and found.group

    def group(self, path: str) -> Group | None:
        """A group by path from here; None if there is none."""
        found = self
        for name in path.split("/"):
            inner = found._inner(name)
            if inner is None:
                return None
            found = inner
        return found

    def _inner(self, name: str) -> Group | None:
        if name not in self._groups:
            found = self._object(name)
            if found is None:
                return None
            if not found.group:
                raise ValueError(f"{self.path}/{name} in the file is not a group")
            handle = h5g.open(self.handle, name.encode())
            self._groups[name] = Group(self.store, handle, found, f"{self.path}/{name}")
        return self._groups[name]

    def attributes(self) -> list[str]:
        """The names of the group's attributes."""
        return list(self.described.attributes)

    def texts(self, name: str) -> list[str] | None:
        """The texts of an attribute, None if there is none of that name."""
        return _texts(self.store, self.described, self.path or "/", name)

    def text(self, name: str) -> str | None:
        """The text of an attribute, None if it is none or holds several."""
        attribute = self.described.attribute(name)
        if attribute is None or not attribute.is_text:
            return None
        texts = self.texts(name) or []
        return texts[0] if len(texts) == 1 else None

    def array(self, path: str, label: str, shape: tuple | None = None) -> np.ndarray:
        """An array of the group, read when it is known to be plain, of the shape expected, and stored in full.

        Args:
            path: in the group.
            label: how errors call the object that it belongs to.
            shape: expected, if one is.

        Raises:
            ValueError: if it is not.
            KeyError: if there is none.
        """
        holder, name = self._holder(path) if "/" in path else (self, path)
        found = None if holder is None else holder._object(name)
        if holder is None or found is None:
            raise KeyError(f"the file has no variable {path} of {label}")
        if found.group:
            raise ValueError(f"{label}: {name!r} is not a dataset")
        dataset = h5d.open(holder.handle, name.encode())
        if not shape or dataset.shape != shape or dataset.dtype.kind not in "biuf":  # no shape is also that of nothing
            _check(dataset, name, label, shape)
        label = f"{label}: variable {name}"
        value = _read(self.store, dataset, (found.address, f"{holder.path}/{name}"), label)
        if (found.attributes or found.dense) and _texts(self.store, found, label, "dtype") == ["bfloat16"]:
            value = value.view(ml_dtypes.bfloat16)
        return value


def _texts(store: _Store, described: Described, label: str, name: str) -> list[str] | None:
    attribute = described.attribute(name)
    if attribute is None:
        return None
    try:
        return [text.decode() for text in store.headers.texts(attribute)]
    except ValueError as error:
        raise ValueError(f"{label}: its {name!r} cannot be read: {error}") from error


def _check(dataset: Any, name: str, label: str, shape: tuple | None) -> None:
    dtype = dataset.dtype
    plain = dtype.kind in "biufcV" and not dtype.hasobject and dtype.names is None and dtype.subdtype is None
    if not plain or dataset.get_space().get_simple_extent_type() == h5s.NULL:
        raise ValueError(f"{label}: {name!r} has dtype {dtype}, which is no number")
    if shape is not None and dataset.shape != tuple(shape):
        raise ValueError(f"{label}: variable {name} has shape {tuple(shape)}; the file has {dataset.shape} for it")


def _read(store: _Store, dataset: Any, place: tuple[int, str], label: str) -> np.ndarray:
    count = math.prod(dataset.shape)
    stored, nbytes = count * dataset.get_type().get_size(), count * dataset.dtype.itemsize
    creation, chunks = dataset.get_create_plist(), None
    layout = creation.get_layout()
    if layout == h5d.CHUNKED and count:
        chunks = _Chunks(store.headers, dataset, creation, label)
        stored = chunks.stored
    elif layout == h5d.CONTIGUOUS and count:
        offset = dataset.get_offset()
        if offset is None or offset + stored > store.headers.size:
            raise ValueError(f"{label} declares {stored:,} bytes, far more than the file stores")
    store.charge(*place, label, stored, nbytes)
    memory = np.empty(nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT  # JAX takes over without a copy what begins at a whole number of these
    value = memory[start : start + nbytes].view(dataset.dtype).reshape(dataset.shape)
    if chunks is not None:
        chunks.read(value)
    elif count:
        dataset.read(h5s.ALL, h5s.ALL, value)
    return value


class _Chunks:
    """The chunks of an array, each at its place once; deflate gets no more room than the chunk has.

    The library's own deflate grows its buffer for as long as the stream goes on.
    """

    def __init__(self, headers: ObjectHeaders, dataset: Any, creation: Any, label: str):
        self.headers, self.dataset, self.label = headers, dataset, label
        self.shape, self.chunk, self.dtype = dataset.shape, creation.get_chunk(), dataset.dtype
        self.nbytes = math.prod(self.chunk) * self.dtype.itemsize
        filters = [creation.get_filter(i) for i in range(creation.get_nfilters())]
        self.filters = [code for code, *_ in filters]
        widths = [values[0] for code, _, values, _ in filters if code == h5z.FILTER_SHUFFLE and values]
        if self.filters not in _FILTERS or any(w != self.dtype.itemsize for w in widths):
            raise ValueError(f"{label} has other filters than shuffle and one deflate ({self.filters}): refused")
        if not dataset.get_type().equal(h5t.py_create(self.dtype, logical=True)):
            raise ValueError(f"{label} has chunks of a type of its own, which is refused")
        if self.nbytes > max(math.prod(self.shape) * self.dtype.itemsize, _SMALL_CHUNK):
            raise ValueError(f"{label} has shape {self.shape} and chunks of {self.chunk}, far more, which is refused")
        self.places = self._places()
        self.stored = sum(size for _, _, size in self.places.values())

    def _places(self) -> dict[tuple[int, ...], tuple[int, int, int]]:
        """`{offset in the array: (skipped filters, offset in the file, bytes)}`."""
        count = math.prod(tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True)))
        if count > self.headers.size:
            raise ValueError(f"{self.label} declares {count:,} chunks, far more than the file stores")
        found: dict[tuple[int, ...], tuple[int, int, int]] = {}

        def take(info: Any) -> Any:
            at = tuple(info.chunk_offset)
            if at in found or any(a % c or a >= n for a, c, n in zip(at, self.chunk, self.shape, strict=True)):
                return True
            found[at] = (info.filter_mask, info.byte_offset, info.size)
            return None

        if self.dataset.chunk_iter(take) is not None or len(found) != count:
            raise ValueError(f"{self.label} declares {count:,} chunks and stores others: far more or far less than it")
        return found

    def read(self, value: np.ndarray) -> None:
        """Fills an array."""
        for at, (skipped, offset, size) in self.places.items():
            content = self._plain(self.headers.bytes(offset, size), skipped)
            part = np.frombuffer(content, self.dtype).reshape(self.chunk)
            inside = tuple(slice(min(c, n - a)) for a, c, n in zip(at, self.chunk, self.shape, strict=True))
            part = part[inside]
            value[tuple(slice(a, a + n) for a, n in zip(at, part.shape, strict=True))] = part

    def _plain(self, content: Any, skipped: int) -> Any:
        if h5z.FILTER_DEFLATE in self.filters and not skipped >> self.filters.index(h5z.FILTER_DEFLATE) & 1:
            stream = zlib.decompressobj()
            try:
                content = stream.decompress(content, self.nbytes + 1)
            except zlib.error as error:
                raise ValueError(f"{self.label} cannot be decompressed ({error}): it is damaged") from error
            if not stream.eof:
                raise ValueError(f"{self.label} has a chunk that does not end at its {self.nbytes:,} bytes")
        if len(content) != self.nbytes:
            raise ValueError(f"{self.label} has a chunk of {len(content):,} bytes; its shape asks for {self.nbytes:,}")
        if h5z.FILTER_SHUFFLE in self.filters and not skipped & 1:
            content = np.frombuffer(content, np.uint8).reshape(self.dtype.itemsize, -1).T.tobytes()
        return content
