"""Cases of changed HDF5 files: their objects, and bytes of their headers, heaps and indexes."""

from __future__ import annotations

import contextlib
import io
import json
import math
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from compat.saving import editor
from tests.hostile import readers
from tests.hostile.fuzzing.configs import Case, weighed
from tests.hostile.fuzzing.corpus import Corpus

_SIGNATURES = re.compile(rb"OHDR|OCHK|TREE|SNOD|HEAP|GCOL|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FAHD|FADB|EAHD|EAIB|\x89HDF")
_WAYS = ["archive", "archive", "weights", "weights", "old", "old", "old weights", "editor", "shard"]
_HUGE = [0, 1, 2, 10**4, 10**7, 10**9, 2**31, 2**40, 2**62]


def case(rng: random.Random, corpus: Corpus, folder: Path) -> Case:
    """One to four changes of an honest file; half of them also change bytes."""
    way, name = rng.choice(_WAYS), rng.choice(corpus.names)
    honest = corpus.file(name, "m.h5") if way.startswith("old") else corpus.weights(name)
    path = folder / ("m.h5" if way.startswith("old") else "m.weights.h5")
    if way == "shard" and corpus.file(name, "m.weights.json").is_file():
        for file in corpus.file(name, "").glob("m*.weights.*"):
            corpus.copy(name, file.name, folder)
        path = honest = rng.choice(sorted(folder.glob("m_save*.weights.h5")))
    path.write_bytes(honest.read_bytes())
    words = [f"{way} of {name}"]
    if rng.random() < 0.25:
        _as_latest(path, rng)
        words.append("in the newer format")
    if rng.random() < 0.75:
        words += _change_objects(path, rng, corpus)
    if len(words) == 1 or rng.random() < 0.4:
        words += _change_bytes(path, rng)
    return _read(way, name, path, corpus, words)


def _read(way: str, name: str, path: Path, corpus: Corpus, words: list[str]) -> Case:
    if way == "old":
        return Case(readers.load_model, (path,), words)
    if way == "editor":
        return Case(edited, (path,), words)
    if way == "archive":
        archive = path.with_name("m.keras")
        with zipfile.ZipFile(archive, "w") as file:
            for part in ("config.json", "metadata.json"):
                file.write(corpus.file(name, f"parts/{part}"), part)
            file.write(path, "model.weights.h5")
        return Case(readers.load_model, (archive,), words)
    index = path.with_name("m.weights.json")
    return Case(weighed, (corpus.file(name, "m.keras"), index if index.is_file() else path), words)


def edited(path: Path) -> Any:
    """What the editor shows of a file, and writes of it."""
    with contextlib.redirect_stdout(io.StringIO()):
        made = editor.KerasFileEditor(path)
        made.summary()
    made.save(path.with_name("again.weights.h5"))
    return made


def _as_latest(path: Path, rng: random.Random) -> None:
    """Writes the file anew as newer libraries do: other headers, groups and indexes."""
    new = path.with_suffix(".new")
    with (
        h5py.File(path, "r") as old,
        h5py.File(new, "w", libver=rng.choice(["latest", "v108"]), track_order=rng.random() < 0.5) as file,
    ):
        for at, value in old.attrs.items():
            file.attrs[at] = value
        for at in old:
            old.copy(at, file)
    new.replace(path)


def _change_objects(path: Path, rng: random.Random, corpus: Corpus) -> list[str]:
    words = []
    with h5py.File(path, "a") as file:
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            names: list[str] = []
            file.visit(names.append)
            arrays = [n for n in names if isinstance(file.get(n), h5py.Dataset)]
            change = rng.choice(CHANGES)
            if change is attribute:
                names = [n for n in names if file.get(n) is not None and len(file[n].attrs)] or names
            found = (arrays if change in ARRAYS or rng.random() < 0.5 else names) or names
            at = rng.choice(found) if found else ""
            try:
                words.append(f"{at}: {change(file, at, rng, corpus)}")
            except (ValueError, TypeError, OSError, RuntimeError, KeyError, AttributeError) as error:
                words.append(f"{at}: {change.__name__} failed, {error!r:.60}")
    return words


def _shape(file: Any, at: str) -> tuple:
    return file[at].shape or () if at and isinstance(file[at], h5py.Dataset) else (3, 2)


def values(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """Other values in the right shape, of any type."""
    shape, kind = _shape(file, at), rng.randrange(len(_TYPES))
    dtype = _TYPES[kind]
    del file[at]
    file.create_dataset(at, shape, dtype)
    return f"type {dtype!r:.80}"


def shape(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """Another shape, allocated or not."""
    new = list(_shape(file, at))
    way = rng.randrange(5)
    if way == 0 and new:
        new[rng.randrange(len(new))] = rng.choice(_HUGE)
    elif way == 1:
        new = [*new, rng.choice((0, 1, 2))]
    elif way == 2:
        new = new[:-1]
    elif way == 3:
        new = [1] * rng.choice((31, 32)) if rng.random() < 0.5 else [rng.choice(_HUGE[:4])]
    else:
        new = new[::-1]
    space = h5s.create_simple(tuple(new))
    plist = h5p.create(h5p.DATASET_CREATE)
    chunks = rng.random() < 0.4 and new
    if chunks:
        plist.set_chunk(tuple(max(1, min(n, rng.choice((1, 64, 10**6)))) for n in new))
        if rng.random() < 0.5:
            plist.set_deflate(4)
    del file[at]
    h5d.create(file.id, at.encode(), h5t.IEEE_F32LE, space, plist)
    return f"shape {tuple(new)}{' in chunks' if chunks else ''}"


def filters(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """Compressed, checked, shuffled, scaled or packed, in chunks of any size, partly written."""
    found = _shape(file, at) or (1,)
    options = rng.choice([
        {"compression": "gzip"}, {"compression": "lzf"}, {"fletcher32": True}, {"shuffle": True}, {"scaleoffset": 3},
        {"compression": "gzip", "shuffle": True}, {"maxshape": (None,) * len(found)}, {"fillvalue": 3.5}])  # fmt: skip
    chunks = tuple(max(1, min(n, rng.choice((1, 2, 50)))) for n in found)
    del file[at]
    made = file.create_dataset(at, found, "float32", chunks=chunks, **options)
    written = rng.random() < 0.7 and math.prod(found) < 10_000
    if written:
        made[...] = 1.5
    if rng.random() < 0.3:
        made.id.write_direct_chunk((0,) * len(found), rng.randbytes(rng.choice((0, 1, 40, 5000))), 0)
        written = "badly"
    return f"{options} in {chunks}, written: {written}"


def bomb(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """Chunks that decompress to much more than they are."""
    count = rng.choice((1 << 20, 1 << 24, 1 << 28))
    del file[at]
    made = file.create_dataset(at, (count,), "uint8", chunks=(1 << 20,), compression="gzip", compression_opts=9)
    for place in range(0, count, 1 << 20)[:16]:
        made[place : place + 1] = 1
    return f"bomb of {count:,} bytes"


def elsewhere(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """Values that lie in another file."""
    secret, way, found = corpus.outside / "secret.bin", rng.randrange(3), _shape(file, at)
    count = max(1, int(np.prod(found)))
    del file[at]
    if way == 0:
        file.create_dataset(at, found or (1,), "float32", external=[(str(secret), 0, 4 * count)])
    elif way == 1:
        file[at] = h5py.ExternalLink(str(corpus.outside / "secret.h5"), "/a")
    else:
        layout = h5py.VirtualLayout(found or (1,), "float32")
        layout[...] = h5py.VirtualSource(rng.choice((str(corpus.outside / "secret.h5"), ".")), "a", found or (1,))
        file.create_virtual_dataset(at, layout)
    return ("external storage", "external link", "virtual")[way]


def link(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """A link to another place of the file."""
    names = ["/", at.rpartition("/")[0] or "/"]
    file.visit(names.append)
    target, hard = rng.choice(names), rng.random() < 0.6
    place = at if rng.random() < 0.5 else f"{at}_more"
    held = file[target] if hard else h5py.SoftLink(target)
    if place in file:
        del file[place]
    file[place] = held
    return f"{'hard' if hard else 'soft'} link at {place} to {target}"


def kind_of_object(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """A group for an array, an array for a group, a type, nothing, or no values."""
    way = rng.choice(("group", "array", "type", "nothing", "empty", "scalar"))
    del file[at]
    if way == "group":
        file.create_group(f"{at}/vars/0")
    elif way == "type":
        file[at] = np.dtype("float32")
    elif way == "empty":
        file[at] = h5py.Empty(rng.choice(("float32", "S5")))
    elif way != "nothing":
        file[at] = np.float32(1) if way == "scalar" else np.ones((2, 2), "float32")
    return way


def members(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """Many members, deep ones, or names that are none."""
    way = rng.randrange(3)
    if at and isinstance(file[at], h5py.Dataset):
        del file[at]
    group = file.require_group(at or "/")
    if way == 0:
        count = rng.choice((9, 300, 3000))
        for n in range(count):
            group.create_group(f"n{n}")
        return f"{count} members"
    if way == 1:
        depth = rng.choice((5, 70, 600))
        group.create_dataset("a/" * depth + "0", data=np.ones(2, "float32"))
        return f"{depth} deep"
    name = rng.choice(["名\u202e", "\udcff", "x" * 3000, " ", "..", "a b", "-1", "00", "vars", "0", "layers", "\u0301"])
    group[name] = np.ones(2, "float32")
    return f"a member {name!r:.40}"


def attribute(file: Any, at: str, rng: random.Random, corpus: Corpus) -> str:
    """An attribute of another value, type or shape, or many."""
    holder = file[at] if at and rng.random() < 0.8 else file["/"]
    name = rng.choice([*holder.attrs, "layer_names", "weight_names", "dtype", "model_config", "training_config"])
    old = holder.attrs.get(name)
    way = rng.randrange(9)
    if name in holder.attrs:
        del holder.attrs[name]
    if way == 0:
        new = rng.choice(
            [3, 1.5, "x", "", b"\xff", [], [b"a", b"a"], "bfloat16", "float8_e5m2", h5py.Empty("S5"), True]
        )
    elif way == 1 and isinstance(old, np.ndarray):
        new = rng.choice([old[::-1], np.repeat(old, 50), old[:1], old[None], old[:0]])
    elif way == 2:
        new = np.array([rng.choice([b"../x", b"/", b"a/b", b"", b".", b"d\0e", b"x" * 999]) for _ in range(3)])
    elif way == 3:
        new = np.zeros(rng.choice([(), (2,), (2, 2)]), rng.choice(_TYPES))
    elif way == 4:
        new = rng.choice(
            ['{"class_name": "Sequential"}', "[]", "{", "null", json.dumps({"config": [[]] * 99}), "1e999"]
        )
    elif way == 5:
        new = np.array(["a", "名"], h5py.string_dtype())
    elif way == 6:
        for n in range(rng.choice((9, 2000))):
            holder.attrs[f"{name}{n}"] = n
        return f"many of {name}"
    elif way == 7:
        return f"no {name}"
    else:
        new = np.array([b"d%d" % n for n in range(5000)])
    holder.attrs[name] = new
    return f"{name} = {new!r:.60}"


_TYPES = [
    "float64", "float16", "int64", "int8", "uint64", ">f4", ">i2", "bool", "complex64", "S7", "V5",
    h5py.string_dtype(), h5py.vlen_dtype(np.float32), h5py.ref_dtype, h5py.regionref_dtype,
    h5py.enum_dtype({"a": 1, "b": 300}, "int32"), np.dtype([("a", "f4"), ("b", "i8", (2,))]),
    np.dtype(("f4", (2, 2))), np.dtype([("r", "f8"), ("i", "f8")]), np.longdouble, h5py.opaque_dtype("datetime64[s]"),
    np.dtype([("deep", [("a", h5py.string_dtype())])]),
]  # fmt: skip
ARRAYS = {values, shape, filters, bomb, elsewhere}
CHANGES: list[Callable] = [
    values, values, shape, shape, filters, filters, bomb, elsewhere, elsewhere, link, link, kind_of_object,
    kind_of_object, members, attribute, attribute, attribute,
]  # fmt: skip


def _change_bytes(path: Path, rng: random.Random) -> list[str]:
    """Changes bytes near what begins a header, a heap or an index; most newer headers get a true checksum again."""
    content = bytearray(path.read_bytes())
    words = []
    if rng.random() < 0.1:
        size = rng.choice((512, 1024, 4096, 100))
        content[:0] = rng.randbytes(size) if rng.random() < 0.5 else bytes(size)
        words.append(f"user block of {size}")
    places = [m.start() for m in _SIGNATURES.finditer(content)] or [0]
    groups: dict[bytes, list[int]] = {}
    for place in places:
        groups.setdefault(bytes(content[place : place + 4]), []).append(place)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        kind = rng.choice(sorted(groups))
        start = rng.choice(groups[kind])
        at = start + rng.choice((rng.randrange(4, 24), rng.randrange(4, 64), rng.randrange(200)))
        if at + 8 > len(content):
            continue
        width = rng.choice((1, 1, 1, 2, 4, 8))
        new = rng.choice([0, 1, 2**63 - 1, 2**64 - 1, rng.getrandbits(64), len(content), start, rng.choice(places)])
        if rng.random() < 0.3:
            new = content[at] ^ (1 << rng.randrange(8))
        content[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, "little")
        words.append(f"{kind!r} at {start} + {at - start}: {width} bytes = {new % (1 << 8 * width):#x}")
        if kind == b"OHDR":
            _sign(content, start)
    if rng.random() < 0.05:
        del content[rng.randrange(len(content)) :]
        words.append("cut")
    path.write_bytes(content)
    return words


def _sign(content: bytearray, start: int) -> None:
    """Writes the checksum of a newer object header, if its size lies in the file."""
    flags = content[start + 5]
    place = start + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
    width = 1 << (flags & 3)
    end = place + width + int.from_bytes(content[place : place + width], "little")
    if end + 4 <= len(content) and content[start + 4] == 2:
        content[end : end + 4] = _checksum(bytes(content[start:end])).to_bytes(4, "little")


_MASK = 0xFFFFFFFF


def _turned(value: int, by: int) -> int:
    return (value << by | value >> 32 - by) & _MASK


def _checksum(data: bytes) -> int:
    """Jenkins's lookup3 (https://burtleburtle.net/bob/c/lookup3.c), which HDF5 has for its metadata."""
    a = b = c = 0xDEADBEEF + len(data) & _MASK
    blocks = max(-(-len(data) // 12), 1)
    words = np.frombuffer(data.ljust(12 * blocks, b"\0"), "<u4").tolist()
    for block in range(blocks):
        a, b, c = (v + w & _MASK for v, w in zip((a, b, c), words[3 * block : 3 * block + 3], strict=True))
        if block < blocks - 1:
            for by in (4, 6, 8, 16, 19, 4):
                a, b, c = b, c + b & _MASK, (a - c & _MASK) ^ _turned(c, by)
    for by in (14, 11, 25, 16, 4, 14, 24):
        a, b, c = b, (c ^ b) - _turned(b, by) & _MASK, a
    return b
