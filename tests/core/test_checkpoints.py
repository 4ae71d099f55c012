"""Checkpoints: what is written is what is read, and nothing else is read."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfun
from kfun import checkpoints, layers


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return {
        "params": {
            "dense": {"kernel": jnp.asarray(rng.normal(size=(3, 4)), "float32"), "bias": jnp.zeros(4, "bfloat16")}
        },
        "state": [jnp.arange(3, dtype="int32"), (np.float64(2.5), jnp.ones((0, 2))), None],
        "flag": jnp.array(True),
    }


def _same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.shape(x) == np.shape(y)
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_round_trip(tmp_path, values):
    checkpoints.save(tmp_path / "c", values, metadata={"step": 3})
    _same(checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x)), values)
    loaded = checkpoints.load(tmp_path / "c")
    assert loaded["params"]["dense"]["bias"].dtype == jnp.bfloat16
    assert checkpoints.describe(tmp_path / "c")["metadata"] == {"step": 3}


def test_the_state_of_an_optimizer_and_a_net(tmp_path):
    net = layers.Dense(3)
    params, state = net.init(kfun.random.key(0), jnp.ones((2, 5)))
    optimizer = optax.adam(1e-3).init(params)
    whole = {"params": params, "state": state, "optimizer": optimizer}
    checkpoints.save(tmp_path / "c", whole, definition=net)
    _same(checkpoints.load(tmp_path / "c", like=whole), whole)
    assert checkpoints.load_definition(tmp_path / "c") == net
    with pytest.raises(ValueError, match="pass `like`"):
        checkpoints.load(tmp_path / "c")


def test_shards_and_the_safetensors_library(tmp_path, values):
    numpy = pytest.importorskip("safetensors.numpy")
    checkpoints.save(tmp_path / "c", values, max_shard_size=40)
    files = sorted(tmp_path.glob("c/*.safetensors"))
    assert len(files) > 1
    _same(checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x)), values)
    kernel = next(found["params/dense/kernel"] for f in files if "params/dense/kernel" in (found := _theirs(numpy, f)))
    np.testing.assert_array_equal(kernel, values["params"]["dense"]["kernel"])
    checkpoints.save(tmp_path / "d", {"a": np.ones((2, 3), "float32")})
    numpy.save_file({"a": np.full((2, 3), 7.0, "float32")}, tmp_path / "d" / "arrays-00000.safetensors")
    assert checkpoints.load(tmp_path / "d")["a"][0, 0] == 7.0


def _theirs(numpy, file):
    from safetensors import safe_open

    with safe_open(file, "numpy") as opened:
        return {k: opened.get_tensor(k) for k in opened.keys() if k == "params/dense/kernel"}  # noqa: SIM118


def test_errors_name_the_mistake(tmp_path, values):
    checkpoints.save(tmp_path / "c", values)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        checkpoints.save(tmp_path / "c", values, overwrite=False)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        checkpoints.load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"bfloat16\[4\] in the file"):
        checkpoints.load(tmp_path / "c", like={"params": {"dense": {"bias": jnp.zeros(5), "kernel": jnp.zeros(1)}}})
    with pytest.raises(ValueError, match="without a definition"):
        checkpoints.load_definition(tmp_path / "c")
    with pytest.raises(ValueError, match="same path"):
        checkpoints.save(tmp_path / "d", {"a/b": np.ones(1), "a": {"b": np.ones(1)}})
    with pytest.raises(ValueError, match="cannot be written"):
        checkpoints.save(tmp_path / "d", {"a": np.array(["x"])})
    assert sorted(os.listdir(tmp_path)) == ["c"]


def test_a_failed_save_leaves_the_old_one_whole(tmp_path, values, monkeypatch):
    checkpoints.save(tmp_path / "c", values)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(checkpoints, "_write", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(tmp_path / "c", {"other": np.ones(2)})
    monkeypatch.undo()
    _same(checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x)), values)
    assert os.listdir(tmp_path) == ["c"]


@pytest.mark.parametrize("change", [
    {"version": 99}, {"format": "x"}, {"files": ["../secret"]}, {"files": ["/etc/passwd"]}, {"files": 3},
    {"form": {"leaf": "no"}}, {"form": []},
], ids=["newer", "format", "out of the folder", "absolute", "no list", "no such leaf", "no form"])  # fmt: skip
def test_bad_descriptions(tmp_path, values, change):
    checkpoints.save(tmp_path / "c", values)
    index = json.loads((tmp_path / "c" / "checkpoint.json").read_text())
    (tmp_path / "c" / "checkpoint.json").write_text(json.dumps(index | change))
    with pytest.raises(ValueError, match=r"version|describe|names|pass `like`"):
        checkpoints.load(tmp_path / "c")


def test_a_link_is_refused(tmp_path, values):
    checkpoints.save(tmp_path / "c", values)
    file = tmp_path / "c" / "arrays-00000.safetensors"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="a link"):
        checkpoints.load(tmp_path / "c")


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_raise_value_errors(tmp_path_factory, data):
    folder = pathlib.Path(tmp_path_factory.mktemp("fuzz")) / "c"
    checkpoints.save(folder, {"a": {"b": np.arange(6.0)}, "c": np.ones((2, 2), "int8")})
    file = folder / data.draw(st.sampled_from(["checkpoint.json", "arrays-00000.safetensors"]))
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(bytes(content))
    try:
        loaded = checkpoints.load(folder, convert=lambda _, x: np.array(x))
    except ValueError:
        loaded = None
    assert loaded is None or sum(np.size(x) for x in jax.tree.leaves(loaded)) <= 100
    shutil.rmtree(folder.parent)
