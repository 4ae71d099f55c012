"""Model archives that lie about what they hold: refused within the limits; their honest neighbours are read."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import io
import json
import struct
import zipfile
import zlib

import keras
import numpy as np
import pytest

import compat
from compat.saving import archives, assets, bounded
from compat.utils import UnsafeArchiveError
from tests.hostile import readers
from tests.hostile.confined import accepted, refused
from tests.hostile.packed import Part, bzip2_zeros, deflated, deflated_zeros, zipped

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"


@pytest.fixture(scope="module")
def parts():
    """The members of an honest file."""
    buffer = io.BytesIO()
    readers.small_model().save(buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: Part(name, archive.read(name)) for name in archive.namelist()}


LISTS = b"[" + b"[]," * (6 << 20) + b"[]]"


def _config(part):
    return lambda p: [part, p[METADATA], p[WEIGHTS]]


def _weights(part):
    return lambda p: [p[METADATA], p[CONFIG], part]


def _more(*part):
    return lambda p: [*p.values(), *part]


# What is in the archive, and a part of the refusal.
LIES = {
    "a deflated bomb as config": (
        _config(Part(CONFIG, deflated_zeros(128), 8, size=2 << 30)), "decompression bomb",
    ),
    "a deflated bomb as weights": (
        _weights(Part(WEIGHTS, deflated_zeros(128), 8, size=2 << 30)), "decompression bomb",
    ),
    "a deflated bomb as an asset": (
        _more(Part("assets/a", deflated_zeros(128), 8, size=2 << 30)), "decompression bomb",
    ),
    "bombs of many members": (
        _more(*(Part(f"assets/{i}", deflated_zeros(3), 8, size=48 << 20) for i in range(40))), "decompression bomb",
    ),
    "a bomb that declares a few bytes": (
        _config(Part(CONFIG, deflated_zeros(128), 8, size=100)), "has not the 100 bytes",
    ),
    "weights that declare a few bytes": (
        _weights(Part(WEIGHTS, deflated_zeros(128), 8, size=100)), "has not the 100 bytes",
    ),
    "weights that declare 10 ** 18 bytes": (
        _weights(Part(WEIGHTS, deflated_zeros(1), 8, size=10**18)), "decompression bomb",
    ),
    "weights that are shorter than declared": (
        _weights(Part(WEIGHTS, deflated(b"abc"), 8, size=1000)), "has not the 1,000 bytes",
    ),
    "deflated weights with a wrong sum": (_weights(Part(WEIGHTS, deflated(b"abc"), 8, size=3, crc=1)), "checksum"),
    "deflated weights that are cut off": (
        _weights(Part(WEIGHTS, deflated(os.urandom(1000))[:500], 8, size=1000)), "cut off",
    ),
    "no deflated content": (_weights(Part(WEIGHTS, b"\xff" * 100, 8, size=1000)), "cannot be decompressed"),
    "bzip2": (_weights(Part(WEIGHTS, bzip2_zeros(), 12, size=80 << 20)), "method 12"),
    "bzip2 as config": (_config(Part(CONFIG, bzip2_zeros(), 12, size=80 << 20)), "method 12"),
    "bzip2 as an asset": (_more(Part("assets/a", bzip2_zeros(), 12, size=80 << 20)), "method 12"),
    "LZMA": (_config(Part(CONFIG, b"\x09\x04\x05\x00]" + b"\xff" * 40, 14, size=100)), "method 14"),
    "an unknown method": (_config(Part(CONFIG, b"x" * 40, 99, size=100)), "method 99"),
    "encrypted weights": (_weights(Part(WEIGHTS, b"x" * 40, flags=1)), "encrypted"),
    "an encrypted config": (_config(Part(CONFIG, b"x" * 40, flags=0x41)), "encrypted"),
    "stored weights that declare more than there is": (
        _weights(Part(WEIGHTS, b"x" * 40, size=4000)), "shorter than the directory says",
    ),
    "stored weights larger than the file": (
        _weights(Part(WEIGHTS, b"x" * 40, size=1 << 40, packed=1 << 40)), "outside of it",
    ),
    "a member with two names": (_config(Part(CONFIG, b"{}", local_name="confiG.json")), "described in two ways"),
    "a member in a place of none": (_more(Part("assets/a", b"x", offset=7)), "overlap"),
    "a member behind the end": (_more(Part("assets/a", b"x", offset=1 << 31)), "outside of it"),
    "members that share their content": (
        _more(*(Part(f"assets/{i}", b"x" * 999, body=i == 0) for i in range(4))), "outside of it",
    ),
    "members that are the same bytes": (
        lambda p: [Part("assets/a", b"x" * 999), *(Part(f"assets/{i}", b"x" * 999, offset=0, body=False) for i in "bc"),
                   *p.values()], "overlap",
    ),
    "too many members": (_more(*(Part(f"assets/{i}") for i in range(100_001))), "more than 100,000 members"),
    "a name that is no UTF-8": (_more(Part("assets/\udcff", b"x")), "no UTF-8"),
    "a name with a zero": (_more(Part("assets/a\0b", b"x")), "out of itself"),
    "a name of many folders": (_more(Part("assets/" + "a/" * 30_000 + "b", b"x")), "longer path"),
    "a file that is a folder, too": (_more(Part("assets/a", b"x"), Part("assets/a/b", b"x")), "also that of another"),
    "a name longer than any": (_more(Part("assets/" + "a" * 300, b"x")), "too long"),
    "a link": (_more(Part("assets/a", b"/etc/passwd", mode=0o120777)), "link"),
    "a config of small lists": (
        _config(Part(CONFIG, deflated(LISTS), 8, size=len(LISTS), crc=zipfile.crc32(LISTS))), "lists and objects",
    ),
    "a config of small numbers": (
        _config(Part(CONFIG, b"[" + b"1," * (5 << 20) + b"1]")), "values",
    ),
    "a config without an end": (_config(Part(CONFIG, b"[" * 100_000)), "damaged"),
    "a config with a number of many digits": (_config(Part(CONFIG, b"1" * 1_000_000)), "cannot be read"),
    "a config larger than the limit": (_config(Part(CONFIG, b" " * (65 << 20))), "larger than"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_archives_that_lie_are_refused(name, parts, tmp_path):
    make, match = LIES[name]
    path = tmp_path / "m.keras"
    path.write_bytes(zipped(make(parts)))
    refused(readers.load_model, path, match=match)


ENDS = {
    "an empty file": lambda whole: b"",
    "no archive": lambda whole: b"x" * 5000,
    "an end without an archive": lambda whole: whole[-22:],
    "a directory of 4 GB": lambda whole: whole[:-10] + struct.pack("<L", 0xFFFFFFFF) + whole[-6:],
    "a directory that begins after the end": lambda whole: whole[:-6] + struct.pack("<L", 0xFFFFFFF0) + whole[-2:],
    "a directory that is shorter": lambda whole: whole[:-10] + struct.pack("<L", 60) + whole[-6:],
    "a wide directory of 2 ** 60 bytes": lambda whole: (
        whole[:-22] + struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 3, 3, 1 << 60, 0)
        + struct.pack("<4sLQL", b"PK\6\7", 0, len(whole) - 22, 1) + whole[-22:]
    ),
    "no config": lambda whole: zipped([Part(WEIGHTS, b"x")]),
    "a member twice": lambda whole: zipped([Part(CONFIG, b"{}"), Part(CONFIG, b"{}"), Part(WEIGHTS, b"x")]),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_directories_that_lie_are_refused(name, parts, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(ENDS[name](zipped(list(parts.values()))))
    refused(readers.load_model, path, match=str(path))


def test_extra_fields_take_time_as_their_bytes_do(parts, tmp_path):
    extra = struct.pack("<2H", 7, 0) * 16_000
    path = tmp_path / "m.keras"
    path.write_bytes(zipped([*parts.values(), *(Part(f"assets/{i}", extra=extra) for i in range(100))]))
    assert accepted(readers.load_model, path).seconds < 5


# ---- honest neighbours ----


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A model of Keras itself with its file's bytes, and what it answers."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    path = tmp_path_factory.mktemp("theirs") / "m.keras"
    model.save(path)
    return path.read_bytes(), np.asarray(model.predict(np.ones((2, 3)), verbose=0))


class Stream(io.RawIOBase):
    """A file that is written from front to end only: its zip has its sizes behind the members."""

    def __init__(self):
        super().__init__()
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def _packed_anew(whole, method, stream=False):
    out = Stream() if stream else io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(out, "w", method) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return out.content if stream else out.getvalue()


HONEST = {
    "as it is": lambda whole: whole,
    "deflated": lambda whole: _packed_anew(whole, zipfile.ZIP_DEFLATED),
    "deflated, with sizes behind": lambda whole: _packed_anew(whole, zipfile.ZIP_DEFLATED, True),
    "stored, with sizes behind": lambda whole: _packed_anew(whole, zipfile.ZIP_STORED, True),
    "behind other bytes": lambda whole: b"#!/bin/sh\n" * 10 + whole,
    "with a comment": lambda whole: whole[:-2] + b"\x05\x00hello",
}


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("on_disk", [False, True])
def test_files_of_keras_are_read_however_they_are_packed(name, on_disk, theirs, tmp_path, monkeypatch):
    whole, expected = theirs
    if on_disk:
        monkeypatch.setattr(archives, "_IN_MEMORY", 0)
    path = tmp_path / "m.keras"
    path.write_bytes(HONEST[name](whole))
    model = compat.saving.load_model(path)
    np.testing.assert_allclose(model.predict(np.ones((2, 3)), verbose=0), expected, rtol=1e-5)
    assert int(model.optimizer.iterations) == 1
    compat.saving.load_model(io.BytesIO(path.read_bytes()))


def test_zeros_are_read_up_to_the_rule_and_stored_ones_always(tmp_path, monkeypatch):
    model = readers.small_model(300, 300)
    model.set_weights([np.zeros((300, 300), "float32"), np.zeros(300, "float32")])
    stored = io.BytesIO()
    model.save(stored)
    path = tmp_path / "m.keras"
    path.write_bytes(_packed_anew(stored.getvalue(), zipfile.ZIP_DEFLATED))
    assert path.stat().st_size * 50 < len(stored.getvalue())
    compat.saving.load_model(path)
    monkeypatch.setattr(bounded, "SMALL", 1 << 12)
    monkeypatch.setattr(bounded, "RATIO", 50)
    with pytest.raises(UnsafeArchiveError, match="store it uncompressed"):
        compat.saving.load_model(path)
    compat.saving.load_model(stored)


@compat.saving.register_keras_serializable("tests")
class Words(compat.layers.Layer):
    """Keeps words beside its weights."""

    words = ()

    def call(self, x):
        return x

    def save_assets(self, folder):
        with open(os.path.join(folder, "words.json"), "w") as file:
            json.dump(self.words, file)

    def load_assets(self, folder):
        with open(os.path.join(folder, "words.json")) as file:
            self.words = json.load(file)["words"]


def _with_words(words, path):
    model = compat.Sequential([compat.Input((1,)), Words()])
    model.layers[-1].words = words
    model.save(path)
    path.write_bytes(_packed_anew(path.read_bytes(), zipfile.ZIP_DEFLATED))


def test_deflated_assets_come_back(tmp_path):
    words = [f"w{i}" for i in range(50)]
    _with_words({"words": words}, tmp_path / "m.keras")
    assert compat.saving.load_model(tmp_path / "m.keras").layers[-1].words == words


@pytest.mark.parametrize("words", [{}, 3])
def test_assets_that_an_object_cannot_read_are_a_value_error(words, tmp_path):
    _with_words(words, tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"Words at .* cannot read its assets.*(KeyError|TypeError)"):
        compat.saving.load_model(tmp_path / "m.keras")


def test_a_folder_with_pipes_is_not_waited_for(tmp_path):
    readers.small_model().save(tmp_path / "m", zipped=False)
    (tmp_path / "m" / "assets").mkdir(exist_ok=True)
    os.mkfifo(tmp_path / "m" / "assets" / "words.txt")
    refused(readers.load_model, tmp_path / "m", match="neither a file")
    (tmp_path / "m" / CONFIG).unlink()
    os.mkfifo(tmp_path / "m" / CONFIG)
    refused(readers.load_model, tmp_path / "m", match="lacks config.json")


def _deep(levels):
    return {"a": _deep(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    "tree",
    [
        {"a/b": np.zeros(1, "uint8")}, {"..": {}}, {3: np.zeros(1, "uint8")}, {"a" * 300: np.zeros(1, "uint8")},
        {"a": np.zeros(1, object)}, {"a": "text"}, {"a": None}, [1], _deep(150),
    ],
)  # fmt: skip
def test_assets_as_arrays_that_lie(tree, tmp_path):
    with pytest.raises(ValueError, match=r"asset"):
        assets.write_arrays(tree, str(tmp_path))
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_json_within_the_limits_is_read():
    words = [f"w{i}" for i in range(200_000)]
    assert archives.parse("x", json.dumps({"vocabulary": words}).encode()) == {"vocabulary": words}


def test_an_allowance_raises_the_cap_of_what_is_deflated(parts, tmp_path, monkeypatch):
    """The cap is 64 GiB; a smaller one shows the same with a file that a test can write."""
    monkeypatch.setattr(archives, "_ON_DISK", 1 << 12)
    model = readers.small_model()
    path = tmp_path / "m.keras"
    content = parts[WEIGHTS].content
    deflated_weights = Part(WEIGHTS, deflated(content), 8, size=len(content), crc=zlib.crc32(content))
    path.write_bytes(zipped([parts[METADATA], parts[CONFIG], deflated_weights]))
    for read in (compat.saving.load_model, model.load_weights):
        with pytest.raises(UnsafeArchiveError, match=r"uncompressed, or pass a greater `allowance`"):
            read(path)
        read(path, allowance=1 << 20)
        with pytest.raises(ValueError, match="expected a number of bytes"):
            read(path, allowance="much")


def test_what_an_allowance_does_not_raise_does_not_name_it(parts, tmp_path):
    """A hundred times the archive is the bound of what is plausible, whatever is allowed."""
    path = tmp_path / "m.keras"
    path.write_bytes(zipped([parts[METADATA], parts[CONFIG], Part(WEIGHTS, deflated_zeros(128), 8, size=2 << 30)]))
    with pytest.raises(UnsafeArchiveError, match=r"store it uncompressed$"):
        compat.saving.load_model(path, allowance=1 << 40)
