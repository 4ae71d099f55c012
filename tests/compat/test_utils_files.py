"""`get_file`: Keras's cache layout; nothing partial, nothing unchecked, nothing outside the folder."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import hashlib
import http.server
import io
import pathlib
import tarfile
import threading
import warnings
import zipfile

import keras
import pytest

import compat
from compat.saving import bounded
from compat.utils import UnsafeArchiveError, _files

get_file = compat.utils.get_file


@pytest.fixture
def source(tmp_path):
    """A folder of files, and its `file:` URL."""
    root = tmp_path / "source"
    (root / "d" / "sub").mkdir(parents=True)
    (root / "d" / "a.txt").write_text("hello")
    (root / "d" / "sub" / "b.txt").write_text("b")
    for ending, mode in (("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar", "w")):
        with tarfile.open(root / f"d.{ending}", mode) as archive:
            archive.add(root / "d", "d")
    with zipfile.ZipFile(root / "d.zip", "w") as archive:
        archive.write(root / "d" / "a.txt", "d/a.txt")
    return root.as_uri()


def _tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


HELLO = hashlib.sha256(b"hello").hexdigest()
HELLO_MD5 = hashlib.md5(b"hello").hexdigest()
CASES = {
    "plain": ("d/a.txt", {}), "named": ("d/a.txt", {"fname": "x.txt"}), "folder": ("d/a.txt", {"cache_subdir": "m"}),
    "sha": ("d/a.txt", {"file_hash": HELLO}), "md5": ("d/a.txt", {"md5_hash": HELLO_MD5}),
    "tar.gz": ("d.tar.gz", {"extract": True}), "to a folder": ("d.tar.gz", {"extract": True, "fname": "flowers"}),
    "with an ending": ("d.tar.gz", {"extract": True, "fname": "flowers.tgz"}),
    "untar": ("d.tar.gz", {"untar": True, "fname": "flowers"}),
    "untar with an ending": ("d.tar.gz", {"untar": True, "fname": "flowers.tar.gz"}),
    "untar without a name": ("d.tar.gz", {"untar": True}), "zip": ("d.zip", {"extract": True}),
    "zip as tar": ("d.zip", {"extract": True, "archive_format": "tar"}),
    "tar": ("d.tar", {"extract": True, "archive_format": "tar"}), "tgz": ("d.tgz", {"extract": True}),
    "no format": ("d.tgz", {"extract": True, "archive_format": None}),
    "no archive": ("d/a.txt", {"extract": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_cache_is_laid_out_as_keras_does(name, source, tmp_path):
    path, options = CASES[name]
    found = []
    for api in (keras, compat):
        cache = tmp_path / api.__name__
        cache.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = api.utils.get_file(origin=f"{source}/{path}", cache_dir=cache, **options)
        found.append((os.path.relpath(answer, cache), _tree(cache)))
    assert found[1] == found[0]
    assert found[1][1]


def test_the_cache_is_used_and_renewed(source, tmp_path, monkeypatch):
    path = get_file(origin=f"{source}/d/a.txt", cache_dir=tmp_path)
    fetched = []
    own = _files._fetch
    monkeypatch.setattr(_files, "_fetch", lambda origin, file: fetched.append(origin) or own(origin, file))
    assert get_file(origin=f"{source}/d/a.txt", cache_dir=tmp_path, file_hash=HELLO) == path
    assert not fetched
    with open(path, "w") as file:
        file.write("other")
    get_file(origin=f"{source}/d/a.txt", cache_dir=tmp_path, file_hash=HELLO)
    get_file(origin=f"{source}/d/a.txt", cache_dir=tmp_path, force_download=True)
    assert len(fetched) == 2
    assert pathlib.Path(path).read_text() == "hello"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    assert get_file(origin=f"{source}/d/a.txt") == str(tmp_path / "home" / "datasets" / "a.txt")


def test_a_wrong_hash_leaves_nothing(source, tmp_path):
    for options in (
        {"file_hash": "0" * 64},
        {"md5_hash": "0" * 32},
        {"file_hash": HELLO_MD5, "hash_algorithm": "sha256"},
    ):
        with pytest.raises(ValueError, match="has not the"):
            get_file(origin=f"{source}/d/a.txt", cache_dir=tmp_path / "c", **options)
        assert _tree(tmp_path / "c") == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fname": "../a"}, ValueError, "not a path"), ({"fname": "/abs"}, ValueError, "not a path"),
        ({"fname": "a\\b"}, ValueError, "not a path"), ({"fname": ".."}, ValueError, "name"),
        ({"origin": None}, ValueError, "origin"), ({"origin": "gopher://x/a"}, ValueError, "expected a URL"),
        ({"origin": "d/a.txt"}, ValueError, "expected a URL"),
        ({"hash_algorithm": "zz", "file_hash": "0"}, ValueError, "zz"),
        ({"extract": True, "archive_format": "rar"}, ValueError, "rar"),
    ],
)  # fmt: skip
def test_wrong_arguments(options, error, message, source, tmp_path):
    with pytest.raises(error, match=message):
        get_file(**{"origin": f"{source}/d/a.txt", "cache_dir": tmp_path / "c", **options})


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with fewer bytes than it promises, or not at all."""

    def do_GET(self):
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "5" if "good" in self.path else "50")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        """Nothing."""


def test_downloads_over_http(tmp_path):
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert pathlib.Path(get_file(origin=f"{url}/good.txt?x=1", cache_dir=tmp_path)).read_text() == "hello"
        with pytest.raises(OSError, match=r"5 of 50 bytes|IncompleteRead"):
            get_file(origin=f"{url}/short.txt", cache_dir=tmp_path)
        with pytest.raises(OSError, match="404"):
            get_file(origin=f"{url}/missing.txt", cache_dir=tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert _tree(tmp_path) == ["datasets/good.txt"]


def _tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = 1 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"x"))


def _zip(path, *names):
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            archive.writestr(name, "x")


def _linked_zip(path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")


FILE, LINK, HARD, PIPE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
ATTACKS = {
    "a path up": lambda p: _tar(p, ("../evil", FILE, "")),
    "a path up inside": lambda p: _tar(p, ("a/../../evil", FILE, "")),
    "an absolute path": lambda p: _tar(p, ("/tmp/evil", FILE, "")),
    "a link out": lambda p: _tar(p, ("l", LINK, "/etc"), ("l/evil", FILE, "")),
    "a link inside": lambda p: _tar(p, ("l", LINK, "a")),
    "a hard link": lambda p: _tar(p, ("l", HARD, "/etc/passwd")),
    "a pipe": lambda p: _tar(p, ("l", PIPE, "")),
    "a long path of links": lambda p: _tar(p, *((f"{'a' * 200}{i}", LINK, "b" * 200) for i in range(3))),
    "a path up in a zip": lambda p: _zip(p, "../evil"),
    "an absolute path in a zip": lambda p: _zip(p, "/tmp/evil"),
    "a drive in a zip": lambda p: _zip(p, "C:\\evil"),
    "a path up with a backslash": lambda p: _zip(p, "..\\evil"),
    "a link in a zip": _linked_zip,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_archives_that_lead_out_are_refused(name, tmp_path):
    (tmp_path / "source").mkdir()
    ATTACKS[name](tmp_path / "source" / "bad.tgz")
    with pytest.raises(UnsafeArchiveError, match=r"leads out|link|neither a file"):
        get_file("bad", (tmp_path / "source" / "bad.tgz").as_uri(), extract=True, cache_dir=tmp_path / "c")
    assert _tree(tmp_path / "c") == ["datasets/bad_archive"]
    assert not os.path.exists("/tmp/evil")


def test_bombs_and_repeated_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "SMALL", 1 << 16)
    monkeypatch.setattr(bounded, "RATIO", 2)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1 << 20))
    with pytest.raises(UnsafeArchiveError, match="bomb"):
        get_file(origin=(tmp_path / "bomb.zip").as_uri(), extract=True, cache_dir=tmp_path / "c")
    _zip(tmp_path / "twice.zip", "a", "a")
    with pytest.raises(UnsafeArchiveError, match="twice"):
        get_file(origin=(tmp_path / "twice.zip").as_uri(), extract=True, cache_dir=tmp_path / "c")
    assert _tree(tmp_path / "c") == ["datasets/bomb.zip_archive", "datasets/twice.zip_archive"]


def test_broken_archives_leave_nothing(source, tmp_path):
    whole = (tmp_path / "source" / "d.tar.gz").read_bytes()
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnsafeArchiveError, match=r"damaged|cut off"):
        get_file(origin=broken.as_uri(), extract=True, cache_dir=tmp_path / "c")
    assert _tree(tmp_path / "c") == ["datasets/broken.tar.gz_archive"]
