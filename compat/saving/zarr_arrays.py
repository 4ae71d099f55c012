"""Whether the arrays that a checkpoint keeps as Zarr are whole, and unpack to what they declare and no more.

TensorStore fills chunks that are missing with zeros if it is told so, and some of its codecs unpack a chunk
before they compare its size. Here the chunks are looked at in place, before they are read: each is there, packed
as Orbax packs them, and by the headers of its zstd frame makes about as many bytes as an array's chunk has.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from compat.saving.archives import parse
from compat.saving.ocdbt import Piece
from compat.saving.zstd_frames import check_frame

_DESCRIPTIONS = ("zarr.json", ".zarray")
_ENTRY = struct.Struct("<QQ")  # of a shard's index: offset, size
_ABSENT = (1 << 64) - 1
_CHECKSUM = 4  # bytes after a shard's index
_EXPANSION = 16  # a block counts as 128 KiB, and writers split them: twice a chunk's bytes was the most seen
_SMALL_CHUNK = 1 << 18  # bytes that a frame may make, however small its chunk is
_SMALL_ARRAY = 1 << 20  # bytes that a chunk may have, however small its array is: chunks are read whole
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


class _Layout(NamedTuple):
    """How an array is stored."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]  # the shape of what a key has
    inner: tuple[int, ...] | None  # the shape of the chunks in a shard, None without shards
    itemsize: int
    packed: bool  # whether a chunk is a zstd frame
    key: tuple[str, str]  # what the key of a chunk begins with, and what is between its numbers

    def name(self, place: tuple[int, ...]) -> str:
        """The key of a chunk."""
        first, separator = self.key
        return separator.join([first] * bool(first) + [str(n) for n in place]) or "0"


def check_arrays(label: str, values: dict[str, Piece]) -> list[str]:
    """The names of all arrays among values by key.

    Raises:
        ValueError: if a chunk is missing, cut, stored in a way that Orbax has not, or unpacks to far more than it has.
    """
    names = []
    for key in values:
        name, _, last = key.rpartition("/")
        if last in _DESCRIPTIONS:
            _check_array(f"{label}: the array {name!r}", f"{name}/" if "/" in key else "", values, last)
            names.append(name)
    return names


def _check_array(label: str, prefix: str, values: dict[str, Piece], description: str) -> None:
    text = parse(f"{label}: {description}", values[prefix + description].read())
    try:
        layout = (_zarr3 if description == "zarr.json" else _zarr2)(text)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{label} is stored in a way that Orbax has not ({type(error).__name__}: {error}), which is refused: "
            f"{json.dumps(text)[:300]}"
        ) from error
    if math.prod(layout.chunks) * layout.itemsize > max(math.prod(layout.shape) * layout.itemsize, _SMALL_ARRAY):
        raise ValueError(f"{label} has shape {layout.shape} and chunks of {layout.chunks}, far more, which is refused")
    grid = [-(-size // chunk) for size, chunk in zip(layout.shape, layout.chunks, strict=True)]
    if math.prod(grid) > len(values):
        raise ValueError(f"{label} has {math.prod(grid):,} chunks, of which many are missing: copy it again, whole")
    for place in itertools.product(*map(range, grid)):
        name = layout.name(place)
        if prefix + name not in values:
            raise ValueError(f"{label} has no data for its chunk {name!r}, which is missing: copy it again, whole")
        where = f"{label}: its chunk {name!r}"
        chunk = values[prefix + name]
        if layout.inner is None:
            _check_chunk(where, chunk, layout.packed, math.prod(layout.chunks) * layout.itemsize)
        else:
            _check_shard(where, chunk, layout, place)


def _check_chunk(label: str, chunk: Piece, packed: bool, size: int) -> None:
    if packed:
        check_frame(label, chunk.data, chunk.start, chunk.end, _EXPANSION * size + _SMALL_CHUNK)
    elif len(chunk) != size:
        raise ValueError(f"{label} has {len(chunk):,} bytes; expected {size:,}: it is damaged, or cut")


def _check_shard(label: str, shard: Piece, layout: _Layout, place: tuple[int, ...]) -> None:
    """A shard is chunks, then where each is, then a checksum of that."""
    counts = [outer // inner for outer, inner in zip(layout.chunks, layout.inner or (), strict=True)]
    index = shard.end - _CHECKSUM - math.prod(counts) * _ENTRY.size
    if index < shard.start:
        raise ValueError(f"{label} has {len(shard):,} bytes, fewer than its index: it is damaged, or cut")
    size = math.prod(layout.inner or ()) * layout.itemsize
    entries = _ENTRY.iter_unpack(shard.data[index : shard.end - _CHECKSUM])
    for entry, inside in zip(entries, _starts(layout, place, counts), strict=True):
        if entry == (_ABSENT, _ABSENT):
            if inside:
                raise ValueError(f"{label} lacks a part, which is missing: copy it again, whole")
            continue
        start = shard.start + entry[0]
        end = start + entry[1]
        if end > index:
            raise ValueError(f"{label} has a part beyond its end: it is damaged, or cut")
        _check_chunk(label, Piece(shard.data, start, end), layout.packed, size)


def _starts(layout: _Layout, place: tuple[int, ...], counts: list[int]) -> Iterator[bool]:
    """Whether each chunk of a shard has something of the array, which need not fill its last shards."""
    axes = zip(layout.shape, layout.chunks, layout.inner or (), place, counts, strict=True)
    inside = [[at * outer + n * inner < size for n in range(count)] for size, outer, inner, at, count in axes]
    return (all(several) for several in itertools.product(*inside))


def _zarr3(text: Any) -> _Layout:
    """The layout by a `zarr.json`, of the few ways that Zarr 3 has those of Orbax."""
    grid, keys, codecs = text["chunk_grid"], text["chunk_key_encoding"], text["codecs"]
    chunks = _sizes(grid["configuration"]["chunk_shape"], 1)
    shape = _sizes(text["shape"], 0)
    _expect(grid["name"] == "regular" and len(chunks) == len(shape), "chunk_grid")
    _expect(keys["name"] == "default", "chunk_key_encoding")
    separator = keys.get("configuration", {}).get("separator", "/")
    _expect(separator in ("/", "."), "separator")
    _expect(not text.get("storage_transformers"), "storage_transformers")
    inner = None
    if codecs[0]["name"] == "sharding_indexed":
        shards = codecs[0]["configuration"]
        _expect(len(codecs) == 1 and shards.get("index_location", "end") == "end", "codecs")
        _expect(shards["index_codecs"] == [_LITTLE, {"name": "crc32c"}], "index_codecs")
        inner, codecs = _sizes(shards["chunk_shape"], 1), shards["codecs"]
        _expect(all(a % b == 0 for a, b in zip(chunks, inner, strict=True)), "chunk_shape")
    itemsize = _itemsize(text["data_type"])
    first, *rest = codecs
    _expect(first == _LITTLE or (first["name"] == "bytes" and itemsize == 1), "codecs")
    _expect([codec["name"] for codec in rest] in ([], ["zstd"]), "codecs")
    return _Layout(shape, chunks, inner, itemsize, bool(rest), ("c", separator))


def _zarr2(text: Any) -> _Layout:
    """The layout by a `.zarray`, of the few ways that Zarr 2 has those of Orbax."""
    shape, chunks = _sizes(text["shape"], 0), _sizes(text["chunks"], 1)
    compressor = text["compressor"]
    separator = text.get("dimension_separator", ".")
    _expect(len(shape) == len(chunks), "chunks")
    _expect(separator in ("/", "."), "dimension_separator")
    _expect(not text.get("filters"), "filters")
    _expect(compressor is None or compressor["id"] == "zstd", "compressor")
    itemsize = _itemsize(text["dtype"])
    return _Layout(shape, chunks, None, itemsize, compressor is not None, ("", separator))


def _itemsize(name: Any) -> int:
    dtype = jax.numpy.dtype(name)
    _expect(type(name) is str and dtype.kind in "biufcV", name)
    return dtype.itemsize


def _sizes(value: Any, least: int) -> tuple[int, ...]:
    _expect(type(value) is list and all(type(n) is int and n >= least for n in value), str(value)[:80])
    return tuple(value)


def _expect(condition: bool, name: str) -> None:
    if not condition:
        raise ValueError(name)
