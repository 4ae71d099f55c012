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


@pytest.mark.parametrize(("leaf", "dtype"), [
    (7, "int64"), (2**40 + 1, "int64"), (True, "bool"), (0.1, "float64"),
    (np.float64(0.1), "float64"), (np.arange(3) + 2**40, "int64"), (np.array([2**63], "uint64"), "uint64"),
    (np.arange(3, dtype=">i4"), "int32"), (np.asfortranarray(np.arange(6.0).reshape(2, 3)), "float64"),
    (np.arange(8)[::2], "int64"), (np.ones((0, 2)), "float64"), (np.array([1 + 2j], "complex64"), "complex64"),
    (jnp.array([1.5, -2], "bfloat16"), "bfloat16"), (jnp.array([1.5, -2], "float8_e4m3fn"), "float8_e4m3fn"),
    (jnp.array([1.5, -2], "float8_e5m2"), "float8_e5m2"), (jnp.array(3), "int32"),
], ids=str)  # fmt: skip
def test_what_is_written_is_as_large_as_it_says(tmp_path, leaf, dtype):
    checkpoints.save(tmp_path / "c", {"w": jnp.ones(3), "leaf": leaf})
    loaded = checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x))["leaf"]
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(loaded, leaf)


def test_numbers_load_as_arrays_of_the_default_backend(tmp_path):
    checkpoints.save(tmp_path / "c", {"epoch": 7, "rate": np.float64(0.5), "steps": np.arange(3)})
    loaded = checkpoints.load(tmp_path / "c", like={"epoch": 0, "rate": 0.0, "steps": np.arange(3)})
    assert int(loaded["epoch"]) == 7
    assert float(loaded["rate"]) == 0.5
    assert loaded["steps"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_arrays_of_other_frameworks(tmp_path, framework):
    pytest.importorskip(framework)
    given = {d: kfun.ops.cast(np.array([0, 1]), d) for d in ("int32", "bfloat16", "float8_e5m2", "float16")}
    values = kfun.tree.convert(given | {"long": np.array([2**40])}, framework)
    checkpoints.save(tmp_path / "c", values)
    with kfun.backend(framework):
        loaded = checkpoints.load(tmp_path / "c", like=values)
    for name, array in values.items():
        assert type(loaded[name]) is type(array)
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(kfun.ops.convert_to_numpy(loaded[name]), kfun.ops.convert_to_numpy(array))


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_typed_keys(tmp_path, kind):
    key = jax.random.key(3, impl=kind)
    values = {"key": key, "keys": [jax.random.split(key, 4)], "old": jax.random.PRNGKey(1), "none": None}
    checkpoints.save(tmp_path / "c", values, metadata={"wörter": ["a", None, 'b"\n']})
    for loaded in (
        checkpoints.load(tmp_path / "c"),
        checkpoints.load(tmp_path / "c", like=values),
        checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x)),
    ):
        assert jax.random.normal(loaded["key"], (3,)).tolist() == jax.random.normal(key, (3,)).tolist()
        assert jax.random.bits(loaded["keys"][0][2]) == jax.random.bits(values["keys"][0][2])
        assert loaded["old"].dtype == "uint32"
        assert loaded["none"] is None
    assert checkpoints.describe(tmp_path / "c")["metadata"] == {"wörter": ["a", None, 'b"\n']}
    with pytest.raises(ValueError, match=rf"uint32\[2\] in `like`, key<{kind}>\[\] in the file"):
        checkpoints.load(tmp_path / "c", like=values | {"key": jax.random.PRNGKey(0)})
    with pytest.raises(ValueError, match=rf"key<{kind}>\[\] in `like`, uint32"):
        checkpoints.load(tmp_path / "c", like=values | {"old": key})


def test_trees_without_keys_are_of_the_first_version(tmp_path):
    checkpoints.save(tmp_path / "c", {"a": np.ones(2)})
    assert checkpoints.describe(tmp_path / "c")["version"] == 1
    checkpoints.save(tmp_path / "c", {"a": jax.random.key(0)})
    assert checkpoints.describe(tmp_path / "c")["version"] == 2


def test_a_save_that_would_not_load_replaces_nothing(tmp_path, values, monkeypatch):
    checkpoints.save(tmp_path / "c", values)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.safetensors, "_bytes", lambda leaf, code: np.zeros(1, "uint8"))
        with pytest.raises(ValueError, match="cut off or damaged"):
            checkpoints.save(tmp_path / "c", {"other": np.ones(2)})
    with pytest.raises(ValueError, match="larger than"):
        checkpoints.save(tmp_path / "c", {"other": np.ones(2)}, metadata="x" * (101 << 20))
    with pytest.raises(ValueError, match="__metadata__"):
        checkpoints.save(tmp_path / "c", {"__metadata__": np.ones(2)})
    _same(checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x)), values)
    assert os.listdir(tmp_path) == ["c"]


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

    monkeypatch.setattr(checkpoints.safetensors, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(tmp_path / "c", {"other": np.ones(2)})
    monkeypatch.undo()
    _same(checkpoints.load(tmp_path / "c", convert=lambda _, x: np.array(x)), values)
    assert os.listdir(tmp_path) == ["c"]


@pytest.mark.parametrize("change", [
    {"version": 99}, {"format": "x"}, {"files": ["../secret"]}, {"files": ["/etc/passwd"]}, {"files": 3},
    {"form": {"leaf": "no"}}, {"form": []}, {"keys": []}, {"keys": {"flag": 1}}, {"keys": {"flag": "rbg"}},
    {"keys": {"state/0": "no"}},
], ids=["newer", "format", "out of the folder", "absolute", "no list", "no such leaf", "no form", "keys", "kind",
        "no key", "no such kind"])  # fmt: skip
def test_bad_descriptions(tmp_path, values, change):
    checkpoints.save(tmp_path / "c", values)
    index = json.loads((tmp_path / "c" / "checkpoint.json").read_text())
    (tmp_path / "c" / "checkpoint.json").write_text(json.dumps(index | change))
    with pytest.raises(ValueError, match=r"version|describe|names|pass `like`|keys|made a key"):
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
