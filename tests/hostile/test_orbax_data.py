"""Orbax checkpoints whose data are missing, or unpack without end."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

import compat as keras
from compat.saving import ocdbt, orbax
from tests.hostile import readers
from tests.hostile.confined import refused
from tests.hostile.orbax_files import KERNEL, ONE_NODE, frame, in_chunks, node, rewrite, saved, shard, store


def test_a_chunk_that_unpacks_without_end(copied):
    """Three gigabytes of a hundred kilobytes, where the array has 24 bytes."""
    store(copied)[KERNEL + b"/c/0/0"] = shard(frame(3 << 30))
    refused(readers.load_weights, copied, match="unpack to")
    refused(readers.load_model, copied.parent, match="unpack to")


@pytest.mark.parametrize("end", ["whole", "cut", "a block of no kind", "something after it"])
def test_how_a_frame_ends_does_not_matter(end, copied):
    """What comes before the end is unpacked all the same."""
    whole = frame(3 << 30)
    changed = {"cut": whole[:-2], "a block of no kind": whole[:-4] + b"\x07\0\0", "something after it": whole + b"x"}
    store(copied)[KERNEL + b"/c/0/0"] = shard(changed.get(end, whole))
    refused(readers.load_weights, copied, match="unpack to")


def test_a_chunk_within_a_node_unpacks_without_end(copied):
    """It is packed twice, and no file has its bytes as they are."""
    rewrite(copied / "pytree", {"max_inline_value_bytes": 1 << 20}, {KERNEL + b"/c/0/0": shard(frame(3 << 30))})
    assert sum(p.stat().st_size for p in (copied / "pytree").rglob("*") if p.is_file()) < 20_000
    refused(readers.load_weights, copied, match="unpack to")


def test_a_shard_of_a_file_unpacks_without_end(copied):
    """The arrays are files of their own, and the database is not looked at."""
    path = copied / "pytree" / "_METADATA"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_ocdbt": False}))
    database = store(copied)
    for key in database.list().result():
        value = shard(frame(3 << 30)) if key == KERNEL + b"/c/0/0" else database[key]
        place = copied / "pytree" / key.decode()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(value)
    refused(readers.load_weights, copied, match="unpack to")


def test_a_node_unpacks_without_end(copied):
    """The node of keys, in place of an honest one of as many bytes."""
    random = np.random.default_rng(0)
    rewrite(copied / "pytree", ONE_NODE, {random.bytes(32): b"" for _ in range(4000)})
    path = max((copied / "pytree" / "d").glob("*"), key=lambda path: path.stat().st_size)
    count, rest = divmod(path.stat().st_size - 27, 4)
    repeated = ((1 << 17) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    content = frame(0) + repeated * count + (rest << 3 | 1).to_bytes(3, "little") + b"x" * rest
    assert count << 17 > 3 << 30
    path.write_bytes(node(b"\x0c\xdb\x20\xde", content))
    refused(readers.load_weights, copied, match="unpack to")


def test_a_manifest_unpacks_without_end(copied):
    (copied / "pytree" / "manifest.ocdbt").write_bytes(node(b"\x0c\xdb\x3a\x2a", frame(3 << 30)))
    refused(readers.load_weights, copied, match="unpack to")


def test_a_node_holds_no_more_than_a_tree_needs(copied):
    """Six megabytes of zeros as values in a node of a kilobyte."""
    rewrite(copied / "pytree", ONE_NODE, {b"%06d" % n: bytes(1000) for n in range(6000)})
    refused(readers.load_weights, copied, match="unpack to")


def test_keys_are_few_for_the_bytes_of_the_files(copied):
    """Keys of two bytes without values pack to a quarter of a byte each, and become objects of 800."""
    rewrite(copied / "pytree", ONE_NODE, {n.to_bytes(2, "big"): b"" for n in range(6000)})
    found = refused(readers.load_weights, copied, match="more keys than its files can have")
    assert found.bytes < 100 << 20


def test_keys_that_are_not_packed_count_as_well(copied):
    """A node as it is may be no larger than the files beside it account for."""
    with ocdbt.Files(str(copied / "pytree")) as files:
        content = b"\x0c\xdb\x20\xde" + struct.pack("<Q", 1 << 20) + b"\0\0" + bytes((1 << 20) - 14)
        allowance = ocdbt._Allowance(1 << 19, 0)
        with pytest.raises(ValueError, match="bytes of keys"):
            allowance.take("a node", ocdbt.Piece(content, 0, len(content)), b"\x0c\xdb\x20\xde")
        assert len(ocdbt.values(files)) == 4, "those of an honest checkpoint do not"


@pytest.mark.parametrize("count", [1, 20])
def test_many_small_arrays_are_few_for_the_bytes_of_their_files(count, tmp_path):
    """Models of layers of one number have the most keys for their bytes."""
    from orbax.checkpoint import v1

    model = keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(1) for _ in range(count))])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    v1.save_checkpointables(str(tmp_path / "3"), orbax.checkpointables(model, False))
    with ocdbt.Files(str(tmp_path / "3" / "pytree")) as files:
        found, size = ocdbt.values(files), files.size()
    assert len(found) >= 12 * count
    assert size > 300 * len(found), "far above what a key must have"


@pytest.mark.parametrize("window", [14, 20, 31])
def test_the_window_of_a_frame(window, copied):
    store(copied)[KERNEL + b"/c/0/0"] = shard(frame(24, window << 3))
    refused(readers.load_weights, copied, match="plausible" if window > 13 else "")


CODECS = {
    "gzip": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}],
    "zstd twice": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd"}, {"name": "zstd"}],
    "blosc": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "blosc"}],
    "big": [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "zstd"}],
    "none": [],
    "null": None,
    "number": [3],
    "transpose": [{"name": "transpose", "configuration": {"order": [1, 0]}}, {"name": "bytes"}],
}


@pytest.mark.parametrize("codecs", CODECS)
@pytest.mark.parametrize("inside", [True, False], ids=["shard", "array"])
def test_arrays_are_packed_as_orbax_packs_them(codecs, inside, copied):
    database = store(copied)
    array = json.loads(database[KERNEL + b"/zarr.json"])
    if inside:
        array["codecs"][0]["configuration"]["codecs"] = CODECS[codecs]
    else:
        array["codecs"] = CODECS[codecs]
    database[KERNEL + b"/zarr.json"] = json.dumps(array)
    refused(readers.load_weights, copied, match="a way that Orbax has not")


CHANGES = {
    "shape": [[3], [-3, 2], [3.0, 2], None, "32", [True, 2], [1 << 62, 1 << 62]],
    "chunk_grid": [None, {}, {"name": "regular", "configuration": {"chunk_shape": [0, 2]}}, {"name": "other"}],
    "chunk_key_encoding": [None, {"name": "v2"}, {"name": "default", "configuration": {"separator": "//"}}],
    "data_type": ["string", None, 3, "r999999999", "object"],
    "storage_transformers": [[{"name": "x"}]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in CHANGES.items() for value in values])
def test_descriptions_of_arrays_are_damaged(name, value, copied):
    database = store(copied)
    array = json.loads(database[KERNEL + b"/zarr.json"])
    database[KERNEL + b"/zarr.json"] = json.dumps(array | {name: value})
    refused(readers.load_weights, copied, match="trainable_variables.m.d.kernel")


@pytest.mark.parametrize("key", [b"/c/0/0", b"/zarr.json"])
def test_a_chunk_is_missing(key, copied):
    store(copied)[KERNEL + key] = None
    refused(readers.load_weights, copied, match="trainable_variables.m.d.kernel")


@pytest.mark.parametrize("filled", [True, False])
def test_some_chunks_of_an_array_are_missing(filled, tmp_path):
    """Each is a chunk of its own or a part of a shard; the tree may say that what is missing is zero."""
    folder, model = in_chunks(tmp_path)
    path = folder / "pytree" / "_METADATA"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"store_array_data_equal_to_fill_value": not filled}))
    np.testing.assert_array_equal(readers.load_weights(folder, 40, 30).get_weights()[0], model.get_weights()[0])
    keys = [key for key in store(folder).list().result() if b"kernel/c/" in key]
    assert len(keys) > 3
    store(folder)[keys[2]] = None
    refused(readers.load_weights, folder, 40, 30, match=keys[2].decode().rpartition("/c/")[2])


def test_a_part_of_a_shard_is_missing(copied):
    store(copied)[KERNEL + b"/c/0/0"] = shard(b"", (1 << 64) - 1, (1 << 64) - 1)
    refused(readers.load_weights, copied, match="missing")


@pytest.mark.parametrize(("start", "size"), [(0, 1 << 40), (1 << 63, 1 << 63), (1 << 40, 0), (0, (1 << 64) - 1)])
def test_a_part_of_a_shard_is_elsewhere(start, size, copied):
    store(copied)[KERNEL + b"/c/0/0"] = shard(frame(24), start, size)
    refused(readers.load_weights, copied, match="beyond")


def test_no_data_file_is_lost_in_silence(tmp_path):
    """Removed, emptied, or cut anywhere: the error names the file, or none of it was needed."""
    folder, model = in_chunks(tmp_path)

    def read():
        again = readers.load_weights(folder, 40, 30)
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])

    named = 0
    for path in [path for path in (folder / "pytree").rglob("*") if path.parent.name == "d"]:
        content = path.read_bytes()
        for length in (None, 0, 1, 20, len(content) // 2, len(content) - 1):
            path.unlink(missing_ok=True)
            if length is not None:
                path.write_bytes(content[:length])
            error = _error(read)
            assert path.name in error or error == "none"
            named += path.name in error
        path.write_bytes(content)
    assert named >= 6


@pytest.mark.parametrize("database", [True, False])
@pytest.mark.parametrize("zarr3", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("chunk", [None, 500])
def test_all_that_orbax_can_write_is_read(database, zarr3, packed, chunk, tmp_path):
    folder, model = in_chunks(tmp_path, chunk, use_ocdbt=database, use_zarr3=zarr3, use_compression=packed)
    again = readers.load_weights(folder, 40, 30)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["zeros", "constant", "random", "repeated", "text"])
def test_what_packs_well_is_read(kind, tmp_path):
    """Two megabytes of each, of which some pack to nearly nothing."""
    random = np.random.default_rng(0)
    values = {
        "zeros": np.zeros((1000, 500)),
        "constant": np.full((1000, 500), 0.1),
        "random": random.normal(size=(1000, 500)),
        "repeated": np.tile(random.normal(size=500), (1000, 1)),
        "text": random.integers(0, 3, (1000, 500)),
    }
    folder, model = saved(tmp_path, readers.small_model(1000, 500), values[kind].astype("float32"))
    again = readers.load_weights(folder, 1000, 500)
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])


def _error(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    return "none"
