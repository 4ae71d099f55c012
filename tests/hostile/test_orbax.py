"""Orbax checkpoints that lead elsewhere, are damaged, lack data, or unpack without end."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import compat
from compat.saving import orbax
from tests.hostile import readers
from tests.hostile.confined import refused
from tests.hostile.orbax_files import declare, frame, rewrite, shard


@pytest.mark.parametrize("path", ["_METADATA", "pytree/_METADATA", "pytree/d", "pytree/manifest.ocdbt", "pytree", "."])
def test_a_checkpoint_has_no_links(path, copied, tmp_path):
    place, elsewhere = copied / path, tmp_path / "elsewhere"
    if place.exists():
        place.rename(elsewhere)
    else:
        elsewhere.write_text("{}")
    (copied if path == "." else place).symlink_to(elsewhere)
    with pytest.raises(ValueError, match="is a link"):
        readers.load_weights(copied.parent)
    with pytest.raises(ValueError, match="is a link"):
        readers.load_model(copied.parent)


def test_a_checkpoint_has_no_pipes(copied):
    os.mkfifo(copied / "pytree" / "x")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        readers.load_weights(copied)


@pytest.mark.parametrize("name", ["/etc", "../x", "..", "", "a\0b"])
def test_names_in_a_checkpoint_are_names(name, copied):
    path = copied / "pytree" / "_METADATA"
    tree = json.loads(path.read_text())
    entry = next(iter(tree["tree_metadata"].values()))
    entry["key_metadata"][-1]["key"] = name
    tree["use_ocdbt"] = False
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="leads out"):
        readers.load_weights(copied)


def _replace(path, change):
    path.write_bytes(change(path.read_bytes()))


DAMAGE = {
    "empty": lambda content: b"",
    "no JSON": lambda content: content[: len(content) // 2],
    "a list": lambda content: b"[]",
    "an object": lambda content: b"{}",
    "deep": lambda content: b"[" * 100_000 + b"]" * 100_000,
    "no text": lambda content: b"\xff" * 40,
    "null": lambda content: b'{"tree_metadata": null, "item_handlers": null}',
    "numbers": lambda content: b'{"tree_metadata": {"a": 3}, "item_handlers": {"pytree": 3}}',
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("path", ["pytree/_METADATA", "model_config/_METADATA"])
def test_texts_of_a_checkpoint_are_damaged(path, kind, copied):
    _replace(copied / path, DAMAGE[kind])
    with pytest.raises(ValueError, match=r"\w"):
        readers.load_model(copied)


@pytest.mark.parametrize("path", ["pytree/manifest.ocdbt", "pytree/d", "pytree", "pytree/_METADATA"])
def test_parts_of_a_checkpoint_are_missing(path, copied):
    """In a process of its own, because orbax leaves an event loop open when it fails."""
    (copied / path).rename(copied.parent.parent / "elsewhere")
    refused(readers.load_weights, copied)


@pytest.mark.parametrize("kind", ["empty", "a list", "deep"])
def test_strings_of_a_checkpoint_are_damaged(kind, copied):
    """In a process of its own, because orbax leaves an event loop open when it fails."""
    _replace(copied / "model_config" / "_strings.json", DAMAGE[kind])
    refused(readers.load_model, copied)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '{"class_name": 3}', "[" * 100_000, '{"a": ' * 50_000])
def test_the_config_of_a_checkpoint_is_read_as_that_of_a_file(text, copied):
    (copied / "model_config" / "_strings.json").write_text(json.dumps({"config": text}))
    with pytest.raises(ValueError, match=r"\w"):
        readers.load_model(copied)


def test_a_chunk_of_a_checkpoint_is_no_larger_than_its_array(copied):
    key = b"trainable_variables.m.d.kernel/zarr.json"
    declare(copied / "pytree", key, [3, 2], (1 << 15, 1 << 15))
    with pytest.raises(ValueError, match="chunks of"):
        readers.load_weights(copied)


def test_assets_of_a_checkpoint_are_stored(tmp_path):
    """Three gigabytes of zeros, of which each megabyte is there, in some tens of bytes."""
    from orbax.checkpoint import v1

    folder = tmp_path / "3"
    tree = {**orbax.checkpointables(readers.small_model(), False), "assets": {"words": np.ones(3, "uint8")}}
    v1.save_checkpointables(str(folder), tree)
    rewrite(folder / "assets", {}, {b"words/c/%d" % n: shard(frame(1 << 20)) for n in range(3 << 10)})
    declare(folder / "assets", b"words/zarr.json", [3 << 30])
    refused(readers.load_model, folder, match="stores")


def test_honest_checkpoints_are_read(copied):
    model = readers.load_model(copied.parent)
    again = compat.saving.load_model(copied)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
