"""`get_file` with archives of strangers, and in folders of strangers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pathlib
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib

import pytest

import compat
from compat.utils import UnsafeArchiveError
from tests.hostile import readers
from tests.hostile.confined import accepted, refused
from tests.hostile.packed import Part, bzip2_zeros, deflated_zeros, gzip_zeros, header, tarred, zipped


def _record(key, value):
    body = f" {key}={value}\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return f"{length}{body}".encode()


def _block(content):
    return content + bytes(-len(content) % 512)


def _extended(*records, kind=b"x"):
    text = b"".join(records)
    return header("h", len(text), kind) + _block(text)


def _long_dictionary(packed):
    """An .xz file whose header asks for a dictionary of 4 GB."""
    size = (packed[12] + 1) * 4
    block = bytearray(packed[12 : 12 + size - 4])
    block[4] = 40
    return packed[:12] + block + struct.pack("<L", zlib.crc32(bytes(block))) + packed[12 + size :]


_LZMA_4GB = b"\x09\x04\x05\x00]" + b"\xff" * 4 + b"\x00" * 40
BOMBS = {
    "zip of bzip2": (lambda: zipped([Part("a", bzip2_zeros(), 12, size=80 << 20)]), "bomb"),
    "zip of deflate": (lambda: zipped([Part("a", deflated_zeros(64), 8, size=1 << 30)]), "bomb"),
    "zip of deflate that declares little": (lambda: zipped([Part("a", deflated_zeros(64), 8, size=9)]), "has not"),
    "zip of members with one content": (
        lambda: zipped([Part("a", deflated_zeros(1), 8, size=1 << 24),
                        *(Part(f"{i}", b"", 8, size=1 << 24, packed=16_000, offset=0, body=False) for i in range(99))]),
        "overlap",
    ),
    "zip of LZMA with a dictionary of 4 GB": (
        lambda: zipped([Part("a", _LZMA_4GB, 14, size=100)]), "Memory usage limit",
    ),
    "zip of LZMA with other settings": (lambda: zipped([Part("a", b"\x09\x04\xff\xff" * 9, 14, size=100)]), "settings"),
    "zip that is encrypted": (lambda: zipped([Part("a", b"x" * 40, flags=1)]), "encrypted"),
    "zip of a method of its own": (lambda: zipped([Part("a", b"x" * 40, 97)]), "method 97"),
    "zip with a wrong sum": (lambda: zipped([Part("a", b"x" * 40, crc=1)]), "checksum"),
    "zip of a name of many folders": (lambda: zipped([Part("a/" * 30_000 + "b")]), "longer path"),
    "tar.gz of zeros": (lambda: gzip.compress(header("a", 2 << 30)) + gzip_zeros(128), "bomb"),
    "tar.gz of zeros behind the end": (lambda: gzip.compress(tarred("a")) + gzip_zeros(128), "bomb"),
    "tar.bz2 of zeros": (lambda: bz2.compress(header("a", 1 << 40)) + bzip2_zeros() * 9, "bomb"),
    "tar.xz of zeros": (lambda: lzma.compress(header("a", 1 << 40)) + lzma.compress(bytes(1 << 24)) * 9, "bomb"),
    "tar.xz with a dictionary of 4 GB": (lambda: _long_dictionary(lzma.compress(tarred("a"))), "Memory usage limit"),
    "tar with a name of 1.5 GB": (
        lambda: gzip.compress(header("L", 3 << 29, b"L")) + gzip_zeros(96), "text of 1,610,612,736 bytes",
    ),
    "tar with a link's name of 1.5 GB": (lambda: gzip.compress(header("K", 3 << 29, b"K")) + gzip_zeros(96), "text of"),
    "tar with an extended header of 2 GB": (lambda: gzip.compress(header("x", 1 << 31, b"x")) + gzip_zeros(99), "text"),
    "tar with a global header of 2 GB": (lambda: gzip.compress(header("g", 1 << 31, b"g")) + gzip_zeros(99), "text of"),
    "tar with a header of digits": (lambda: _extended(b"1" * (1 << 20)), "extended header"),
    "tar with many headers of digits": (lambda: gzip.compress(_extended(b"9" * 60_000) * 500), "extended header"),
    "tar with a record of many digits": (lambda: _extended(b"9" * 5000 + b" path=a\n"), "extended header"),
    "tar with a record of no length": (lambda: _extended(b"0 path=a\n"), "extended header"),
    "tar with a record that is too long": (lambda: _extended(b"99 path=a\n"), "extended header"),
    "tar with a size in words": (lambda: _extended(_record("size", "many")) + header(), "size 'many'"),
    "tar with a size below zero": (lambda: _extended(_record("size", "-5")) + header(), "size '-5'"),
    "tar with a size of 10 ** 18": (lambda: _extended(_record("size", 10**18)) + header("a", 1), "cut off"),
    "tar with a binary size below zero": (lambda: header("a", b"\xff" * 12), "cut off|size"),
    "tar with a binary size of 2 ** 80": (lambda: header("a", b"\x80\0" + b"\xff" * 10), "has the size"),
    "tar with holes": (lambda: header("a", 0, b"S", magic=b"ustar  \0", rest=b"\1" * 160), "holes"),
    "tar with holes, as pax": (
        lambda: _extended(_record("GNU.sparse.major", 1), _record("GNU.sparse.minor", 0),
                          _record("GNU.sparse.realsize", 1 << 40)) + header(), "holes",
    ),
    "tar with a map of holes": (lambda: _extended(_record("GNU.sparse.map", "0,1," * 99)) + header(), "holes"),
    "tar with a wrong sum": (lambda: tarred("a") [:1024] + b"x" * 512, "wrong sum"),
    "tar that is cut off": (lambda: header("a", 5000) + b"x" * 1000, "cut off"),
    "tar with a header that is cut off": (lambda: header("a") + header("b")[:100], "cut off"),
    "tar with a name of many folders": (lambda: _extended(_record("path", "a/" * 5000 + "b")) + header(), "longer"),
    "tar with a path up, as pax": (lambda: _extended(_record("path", "../evil")) + header(), "leads out"),
    "tar with a path up, as a prefix": (lambda: header("evil", rest=b".."), "leads out"),
    "tar of one file again and again": (lambda: gzip.compress(header() * 100_000, 1), "twice"),
    "tar of many files": (
        lambda: gzip.compress(b"".join(header(f"{i}") for i in range(5000))), "more than",
    ),
    "tar of many folders": (
        lambda: gzip.compress(b"".join(header(f"{i}/{'a/' * 40}", 0, b"5") for i in range(50))), "more than 1,000",
    ),
    "tar with a name as long as a system's": (lambda: _extended(_record("path", "a" * 300)) + header(), "not take"),
    "tar with a file that is a folder": (lambda: tarred("a", "a/b"), "a file and a folder"),
    "tar.gz that is cut off": (lambda: gzip.compress(tarred("a", content=os.urandom(9999)))[:5000], "cut off"),
    "tar.gz with a wrong sum": (lambda: gzip.compress(tarred("a"))[:-8] + b"x" * 8, "cannot be decompressed"),
    "tar.gz that is cut off at once": (lambda: gzip.compress(tarred("a"))[:20], "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_archives_that_lie_are_refused(name, tmp_path):
    make, match = BOMBS[name]
    source = tmp_path / "bad"
    source.write_bytes(make())
    found = refused(readers.get_file, source.as_uri(), tmp_path / "c", match="" if "|" in match else match)
    assert any(part in found.text for part in match.split("|")), found
    assert str(tmp_path / "c") in found.text
    assert os.listdir(tmp_path / "c" / "datasets") == ["bad_archive"]


def test_headers_one_after_the_other_take_no_stack(tmp_path):
    name = header("L", 3, b"L") + _block(b"own")
    (tmp_path / "many").write_bytes(gzip.compress(name * 20_000 + header() + bytes(1024)))
    accepted(readers.get_file, (tmp_path / "many").as_uri(), tmp_path / "c")
    assert os.listdir(tmp_path / "c" / "datasets" / "many") == ["own"]


# ---- honest neighbours ----


def _by_tarfile(mode, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for name, content in CONTENT.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        folder = tarfile.TarInfo("empty")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return out.getvalue()


def _by_zipfile(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
        archive.writestr("empty/", b"")
    return out.getvalue()


CONTENT = {
    "a/b.txt": b"hello", f"{'long/' * 30}{'n' * 120}.txt": bytes(70_000), "é/ü.bin": bytes(range(256)) * 9, "none": b"",
}  # fmt: skip
FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
WHOLE = {
    **{f"{mode} {form}": lambda mode=mode, form=form: _by_tarfile(mode, FORMS[form])
       for mode in ("w", "w:gz", "w:bz2", "w:xz") for form in ("gnu", "pax")},
    **{f"zip {method}": lambda method=method: _by_zipfile(method)
       for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)},
    "gzip streams and padding": lambda: b"".join(
        gzip.compress(part) for part in (lambda t: (t[:700], t[700:]))(_by_tarfile("w", tarfile.GNU_FORMAT))
    ) + bytes(512),
    "bzip2 streams": lambda: b"".join(
        bz2.compress(part) for part in (lambda t: (t[:700], b"", t[700:]))(_by_tarfile("w", tarfile.GNU_FORMAT))
    ),
    "old LZMA": lambda: lzma.compress(_by_tarfile("w", tarfile.GNU_FORMAT), lzma.FORMAT_ALONE),
    "with a global header": lambda: (
        _extended(_record("comment", "0" * 40), kind=b"g") + _by_tarfile("w", tarfile.PAX_FORMAT)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_honest_archives_are_unpacked(name, tmp_path):
    (tmp_path / "good").write_bytes(WHOLE[name]())
    folder = pathlib.Path(compat.utils.get_file(origin=(tmp_path / "good").as_uri(), extract=True, cache_dir=tmp_path))
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == CONTENT
    assert (folder / "empty").is_dir()


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    (tmp_path / "good").write_bytes(tarred("inner.zip", content=zipped([Part("a", b"x")])))
    folder = compat.utils.get_file(origin=(tmp_path / "good").as_uri(), extract=True, cache_dir=tmp_path)
    assert os.listdir(folder) == ["inner.zip"]


def test_an_honest_archive_of_zeros_follows_the_rule(tmp_path):
    for megabytes, fits in ((60, True), (70, False)):
        path = tmp_path / f"{megabytes}"
        path.write_bytes(gzip.compress(tarred("a", content=bytes(megabytes << 20)), 1))
        if fits:
            compat.utils.get_file(origin=path.as_uri(), extract=True, cache_dir=tmp_path)
        else:
            with pytest.raises(UnsafeArchiveError, match="100 times the archive's size"):
                compat.utils.get_file(origin=path.as_uri(), extract=True, cache_dir=tmp_path)


# ---- folders ----


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_permissions_are_those_of_what_the_process_makes(mask, tmp_path):
    source = tmp_path / "d.tar"
    source.write_bytes(tarred("sub/a"))
    before = os.umask(mask)
    try:
        folder = pathlib.Path(compat.utils.get_file(origin=source.as_uri(), extract=True, cache_dir=tmp_path / "c"))
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (folder.parent / "d.tar_archive", *folder.rglob("*"))}
    assert modes == {"d.tar_archive": 0o666 & ~mask, "a": 0o666 & ~mask, "sub": 0o777 & ~mask}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~mask


@pytest.fixture
def fallback(tmp_path, monkeypatch):
    """The folder for temporary files, where the cache cannot be written to."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file" / "home"))
    (tmp_path / "a.txt").write_text("hello")
    return temporary


def _fetched(tmp_path, **options):
    return pathlib.Path(compat.utils.get_file(origin=(tmp_path / "a.txt").as_uri(), **options))


def test_the_fallback_is_private(fallback, tmp_path):
    path = _fetched(tmp_path)
    assert path == fallback / ".keras" / "datasets" / "a.txt"
    assert _fetched(tmp_path) == path
    assert {stat.S_IMODE(p.stat().st_mode) for p in (path.parent, path.parent.parent)} == {0o700}


def _of_another_user(folder, monkeypatch):
    (folder / ".keras" / "datasets").mkdir(parents=True, mode=0o700)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)


def _writable_for_all(folder, monkeypatch):
    (folder / ".keras" / "datasets").mkdir(parents=True)
    (folder / ".keras").chmod(0o777)


def _writable_below(folder, monkeypatch):
    (folder / ".keras").mkdir(mode=0o700)
    (folder / ".keras" / "datasets").mkdir()
    (folder / ".keras" / "datasets").chmod(0o775)


def _link(folder, monkeypatch):
    (folder / "theirs" / "datasets").mkdir(parents=True, mode=0o700)
    (folder / ".keras").symlink_to(folder / "theirs")


def _file(folder, monkeypatch):
    (folder / ".keras").write_text("")


@pytest.mark.parametrize("plant", [_of_another_user, _writable_for_all, _writable_below, _link, _file])
def test_a_folder_that_others_can_fill_is_not_used(plant, fallback, tmp_path, monkeypatch):
    plant(fallback, monkeypatch)
    planted = fallback / ".keras" / "datasets" / "a.txt"
    if planted.parent.is_dir():
        planted.write_text("planted")
    path = _fetched(tmp_path)
    assert path.read_text() == "hello"
    assert path.parent.parent.name.startswith("keras-")
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert not planted.exists() or planted.read_text() == "planted"


@pytest.mark.parametrize("below", ["../elsewhere", "/proc/none"])
def test_no_fallback_leads_out_of_its_folder(below, fallback, tmp_path):
    with pytest.raises(OSError, match="pass another cache_subdir"):
        _fetched(tmp_path, cache_subdir=below)
