"""Cases of changed archives: zips, tars, and arrays in zips."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from compat.utils import _archives
from tests.hostile import packed, readers
from tests.hostile.fuzzing.configs import Case, weighed
from tests.hostile.fuzzing.corpus import Corpus

_NAMES = [
    "/tmp/x", "../x", "a/../../x", "C:\\x", "..\\x", "a\0b", "x" * 300, "d/" * 300 + "x", "a/", "", ".", "./a", "//a",
    "a//b", "\udcff\udcfe", "名\u202e", "CON", " ", "a\n", "config.json", "CONFIG.JSON", "model.weights.h5",
    "assets/../x", "assets/a", "x.npy", "y.npy", "a/b", "a",
]  # fmt: skip
_NUMBERS = [0, 1, 2, 7, 100, 511, 512, 513, 0xFFFE, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
_ZIP = re.compile(rb"PK(?:\x03\x04|\x01\x02|\x05\x06|\x06\x06|\x06\x07|\x07\x08)")


def case(rng: random.Random, corpus: Corpus, folder: Path) -> Case:
    """A zip or tar that is unpacked, an archive of a model, or one of arrays."""
    way = rng.choice(("model", "model", "zip", "zip", "tar", "tar", "tar", "npz", "npz"))
    if way == "tar":
        return _tar(rng, folder)
    if way == "npz":
        return _npz(rng, corpus, folder)
    name = rng.choice(corpus.names)
    content, words = _zip(_members(corpus.file(name, "m.keras")) if way == "model" else _some(rng), rng)
    if way == "model":
        path = folder / "m.keras"
        path.write_bytes(content)
        weights = rng.random() < 0.2
        return Case(
            weighed if weights else readers.load_model, (corpus.file(name, "m.keras"), path)[1 - weights :], words
        )
    (folder / "a.zip").write_bytes(content)
    return Case(unpacked, (folder / "a.zip", folder / "out", rng.choice(("auto", "zip"))), words)


def unpacked(archive: Path, target: Path, formats: str) -> None:
    """Unpacks an archive, and looks at what lies there then.

    Raises:
        AssertionError: if that is no file or folder of the target.
    """
    _archives.unpack(archive, target, formats)
    for where, folders, files in os.walk(target):
        for name in (*folders, *files):
            path = Path(where, name)
            assert not path.is_symlink(), f"unpacked a link, {path}"
            assert path.is_dir() or path.is_file(), f"unpacked {path}"
            assert path.is_dir() or path.stat().st_nlink == 1, f"unpacked a hard link, {path}"


def arrays(path: Path) -> None:
    """Reads all arrays as a file of a data set."""
    for array in readers.read_npz(path).values():
        assert not array.dtype.hasobject, array.dtype
        array.copy()


def _members(path: Path) -> list[packed.Part]:
    with zipfile.ZipFile(path) as archive:
        return [packed.Part(n, archive.read(n)) for n in archive.namelist()]


def _some(rng: random.Random) -> list[packed.Part]:
    names = ["a.txt", "d/", "d/b.bin", "d/c/d.txt"]
    return [packed.Part(n, b"" if n.endswith("/") else rng.randbytes(50)) for n in names]


def _zip(parts: list[packed.Part], rng: random.Random) -> tuple[bytes, list[str]]:
    """A zip with changed members, and then changed fields."""
    words = []
    parts = [_deflated(p) if rng.random() < 0.3 else p for p in parts]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(parts))
        parts[at], said = _changed_part(parts[at], rng)
        words.append(f"{parts[at].name[:30]!r}: {said}")
        if rng.random() < 0.15:
            parts.insert(rng.randrange(len(parts)), parts[at])
            words.append("twice")
        if rng.random() < 0.1:
            rng.shuffle(parts)
            words.append("in another order")
    content = bytearray(packed.zipped(parts, rng.choice((b"", b"", b"x" * 99, b"PK\5\6" + bytes(18)))))
    if not words or rng.random() < 0.6:
        words += _changed_fields(content, rng)
    if rng.random() < 0.08:
        head = rng.choice((b"x" * 1000, packed.tarred("a"), bytes(packed.zipped(_some(rng)))))
        content[:0] = head
        words.append(f"{len(head)} bytes before it")
    return bytes(content), words


def _deflated(part: packed.Part) -> packed.Part:
    return part._replace(
        content=packed.deflated(part.content), method=8, size=len(part.content), crc=zlib.crc32(part.content)
    )


def _changed_part(part: packed.Part, rng: random.Random) -> tuple[packed.Part, str]:
    way, n = rng.randrange(11), rng.choice(_NUMBERS)
    if way == 0:
        return part._replace(name=rng.choice(_NAMES)), "another name"
    if way == 1:
        field = rng.choice(("size", "packed", "offset"))
        n = rng.choice([*_NUMBERS, 2**40, 2**63, 2**64 - 1]) if field != "offset" else n
        return part._replace(**{field: n}), f"{field} {n}"
    if way == 2:
        return part._replace(method=(m := rng.choice((0, 1, 6, 8, 9, 12, 14, 93, 95, 99)))), f"method {m}"
    if way == 3:
        return part._replace(flags=(f := rng.choice((1, 8, 9, 32, 64, 0x2000, 0xFFFF)))), f"flags {f}"
    if way == 4:
        return part._replace(
            mode=(m := rng.choice((0o120777, 0o060666, 0o010666, 0o040755, 0o140000, 0o104755)))
        ), f"mode {m:o}"
    if way == 5:
        body = b"".join(struct.pack("<Q", rng.choice((0, 5, 2**32, 2**63, 2**64 - 1))) for _ in range(rng.randrange(4)))
        extra = (
            struct.pack("<2H", rng.choice((1, 1, 0x7075, 0x5455, 0x9901)), rng.choice((len(body), 0, 3, 0xFFFF))) + body
        )
        return part._replace(**{rng.choice(("extra", "local_extra")): extra}), f"extra {extra.hex()}"
    if way == 6:
        return part._replace(local_name=rng.choice(("", "other", "../x"))), "another name in its own header"
    if way == 7:
        return part._replace(body=False, offset=rng.choice((0, 30))), "no content of its own"
    if way == 8:
        return _bomb(part, rng)
    if way == 9:
        cut = part.content[: rng.randrange(len(part.content) + 1)] + rng.randbytes(rng.choice((0, 1, 30)))
        return part._replace(content=cut), "content cut or longer"
    return part._replace(crc=rng.getrandbits(32)), "another checksum"


def _bomb(part: packed.Part, rng: random.Random) -> tuple[packed.Part, str]:
    method, content = rng.choice([
        (8, packed.deflated_zeros(rng.choice((1, 7, 60)))), (12, packed.bzip2_zeros()), (12, packed.bzip2_zeros() * 20),
        (14, _lzma_zeros())])  # fmt: skip
    size = rng.choice((0, 10, 1 << 24, 2**32 - 2))
    return part._replace(content=content, method=method, size=size, crc=0), f"bomb by method {method}"


def _lzma_zeros() -> bytes:
    """64 MB as zips have them; the dictionary is asked to be 4 GB."""
    raw = lzma.compress(bytes(1 << 26), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "preset": 0}])
    return struct.pack("<BBH", 9, 4, 5) + b"\x5d\xff\xff\xff\xff" + raw


def _changed_fields(content: bytearray, rng: random.Random) -> list[str]:
    words = []
    places = [(m.start(), m.group()) for m in _ZIP.finditer(content)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.choice(sorted({k for _, k in places}))
        start = rng.choice([p for p, k in places if k == kind])
        at = start + rng.randrange(4, 46 if kind == b"PK\1\2" else 30 if kind == b"PK\3\4" else 22)
        width = rng.choice((1, 2, 2, 4, 4))
        new = rng.choice([*_NUMBERS, len(content), start, rng.getrandbits(32)]) % (1 << 8 * width)
        if at + width <= len(content):
            content[at : at + width] = new.to_bytes(width, "little")
            words.append(f"{kind!r} + {at - start}: {width} bytes = {new}")
    if rng.random() < 0.1:
        at = rng.choice([p for p, _ in places])
        content[at:at] = (
            z := struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *(rng.choice(_NUMBERS) for _ in range(4)))
        )
        content[at + len(z) : at + len(z)] = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
        words.append("an end in the larger format")
    if rng.random() < 0.05:
        del content[rng.randrange(len(content)) :]
        words.append("cut")
    return words


def _tar(rng: random.Random, folder: Path) -> Case:
    out, words = io.BytesIO(), []
    for _ in range(rng.choice((1, 2, 3, 5))):
        block, said = _tar_member(rng)
        out.write(block)
        words += said
    out.write(bytes(rng.choice((0, 512, 1024, 10240))))
    content = bytearray(out.getvalue())
    for _ in range(rng.choice((0, 0, 1, 3))):
        at = rng.randrange(len(content))
        content[at] = rng.choice((0, 0x20, 0x30, 0x37, 0x80, 0xFF, content[at] ^ 1))
        words.append(f"byte {at}")
    if rng.random() < 0.1:
        del content[rng.randrange(len(content)) :]
        words.append("cut")
    path = folder / "a.tar"
    path.write_bytes(_compressed(bytes(content), rng, words))
    return Case(unpacked, (path, folder / "out", rng.choice(("auto", "tar"))), words)


def _compressed(content: bytes, rng: random.Random, words: list[str]) -> bytes:
    way = rng.choice(("plain",) * 5 + ("gzip", "gzip", "bzip2", "xz", "bomb"))
    words.append(way)
    if way == "plain":
        return content
    if way == "bomb":
        return gzip.compress(content, mtime=0) + packed.gzip_zeros(rng.choice((1, 8, 70)))
    made = {"gzip": lambda c: gzip.compress(c, mtime=0), "bzip2": bz2.compress, "xz": lzma.compress}[way](content)
    if rng.random() < 0.4:
        at = rng.randrange(len(made))
        made = made[:at] + bytes([made[at] ^ (1 << rng.randrange(8))]) + made[at + 1 :]
        words.append(f"packed byte {at}")
    return made + rng.choice((b"", b"", made, b"\0" * 99, b"x"))


_SIZES = [b"00000000005\0", b"77777777777\0", b"-0000000001\0", b"\x80" + bytes(10) + b"\x05",
          b"\x80" + b"\xff" * 11, b"\x80" + bytes(6) + b"\xff" * 5, b"\xff" * 12,
          b"\xff" * 11 + b"\xfb", b"9" * 12, b" " * 12, b"\0" * 12, b"1 2 3 4 5 6 "]  # fmt: skip
_PAX = ["path", "linkpath", "size", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.major", "GNU.sparse.minor",
        "GNU.sparse.realsize", "GNU.sparse.name", "hdrcharset", "mtime", "uid"]  # fmt: skip
_PAX_VALUES = [
    "../x",
    "/x",
    "1e9",
    "-1",
    "9" * 30,
    "0,0," * 500,
    "nan",
    "",
    "\0",
    "BINARY",
    "a" * 5000,
    "1",
    "512",
    "x",
]


def _tar_member(rng: random.Random) -> tuple[bytes, list[str]]:
    """A member with its content, and what is odd in it."""
    kind = rng.choice(
        (b"0", b"0", b"0", b"5", b"\0", b"1", b"2", b"3", b"6", b"7", b"S", b"L", b"K", b"x", b"g", b"X", b"D", b"?")
    )
    name, words = rng.choice([*_NAMES, "a.txt", "b.txt", "d/c.txt"]), []
    name = name.encode("utf-8", "surrogateescape").decode("latin-1").encode("ascii", "replace").decode()
    content = rng.randbytes(rng.choice((0, 5, 512, 700)))
    if kind in (b"L", b"K"):
        content = rng.choice((b"../x", b"n" * 200, b"/etc/passwd", b"", b"\xff" * 9, b"n" * 70_000)) + b"\0"
    if kind in (b"x", b"g", b"X"):
        content = b"".join(
            _record(rng.choice(_PAX), rng.choice(_PAX_VALUES), rng) for _ in range(rng.choice((1, 2, 5)))
        )
    size: int | bytes = len(content) if rng.random() < 0.7 else rng.choice(_SIZES)
    fields = {"rest": rng.randbytes(20)} if kind == b"S" and rng.random() < 0.5 else {}
    if rng.random() < 0.15:
        fields["magic"] = rng.choice((b"ustar  \0", b"\0" * 8, b"ustar\x0099", b"xxxxxxxx"))
    block = bytearray(packed.header(name, size, kind, **fields))
    if rng.random() < 0.1:
        block[148:156] = rng.choice((b"00000000", b"\xff" * 8, b"       \0", b"999999\0 "))
        words.append("another checksum")
    padded = content + bytes(-len(content) % 512) if rng.random() < 0.95 else content
    return bytes(block) + padded, [f"{kind!r} {name[:30]!r} of {size!r:.30}, {len(content)} bytes", *words]


def _record(key: str, value: str, rng: random.Random) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body) + 2))
    if rng.random() < 0.3:
        length = rng.choice((0, 1, -5, 10**9, length + 1, 10**25))
    return str(length).encode() + body


def _npz(rng: random.Random, corpus: Corpus, folder: Path) -> Case:
    parts = _members(corpus.folder / rng.choice(("arrays.npz", "packed.npz")))
    words = []
    for _ in range(rng.choice((0, 1, 1, 2))):
        at = rng.randrange(len(parts))
        content, said = _changed_array(parts[at].content, rng)
        parts[at] = parts[at]._replace(content=content)
        words.append(f"{parts[at].name}: {said}")
    if words and rng.random() < 0.5:
        content = packed.zipped([_deflated(p) if rng.random() < 0.5 else p for p in parts])
    else:
        content, more = _zip(parts, rng)
        words += more
    (folder / "a.npz").write_bytes(content)
    return Case(arrays, (folder / "a.npz",), words)


_HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }",
    "{'descr': '|V%d', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<U%d', 'fortran_order': True, 'shape': (), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (%d,), }",
    "{'descr': [('a', '<f4'), ('b', '|S%d')], 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (0, %d), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': -%d, }",
    "{'descr': ('<f4', (%d,)), 'fortran_order': 3, 'shape': [1], }",
    "%d * (",
    "__import__('os').system('touch pwned%d')",
    "{'descr': '<M8[%d]', 'fortran_order': False, 'shape': (1,), }",
    "[" * 3000 + "%d",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 0x7fffffff, True), }",
]  # fmt: skip


def _changed_array(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    way = rng.randrange(4)
    if way == 0:
        text = rng.choice(_HEADERS) % rng.choice([*_NUMBERS, 2**40, 2**62, 10**30])
        version = rng.choice((1, 2, 3))
        head = struct.pack("<H" if version == 1 else "<I", min(len(text) + 1, 0xFFFF))
        return b"\x93NUMPY" + bytes([version, 0]) + head + text.encode() + b"\n" + content[-24:], f"header {text[:60]}"
    if way == 1:
        at = rng.randrange(min(len(content), 128))
        return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :], f"byte {at}"
    if way == 2:
        cut = rng.randrange(len(content))
        return content[:cut], f"cut at {cut}"
    out = io.BytesIO()
    odd = rng.choice([np.array([{}, 1], object), np.zeros(3, "V9"), np.zeros((2, 0, 3)), np.array("2020", "M8[D]"),
                      np.zeros(2, [("a", "f4"), ("名", "S3")]), np.asfortranarray(np.ones((3, 4)))])  # fmt: skip
    np.save(out, odd, allow_pickle=True)
    return out.getvalue() + rng.randbytes(rng.choice((0, 9))), f"dtype {odd.dtype}"
