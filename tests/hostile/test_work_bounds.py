"""Files that ask for more work than they are long."""

from __future__ import annotations

import json
import os

import h5py
import numpy as np
import pytest

from tests.hostile import readers
from tests.hostile.confined import refused

KERNEL, BIAS = np.arange(6, dtype="float32").reshape(3, 2), np.ones(2, "float32")


def _weights(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"], group["1"] = KERNEL, BIAS
    return path


@pytest.mark.parametrize("levels", [17, 50])
def test_two_links_to_each_group(levels, tmp_path):
    """Two to the power of the levels paths."""
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(levels):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
        group.create_dataset("vars/0", data=KERNEL)
    refused(readers.edit, path, match="one object")


@pytest.mark.parametrize("target", ["/", "/layers", "/layers/dense", "/layers/dense/vars"])
def test_a_group_in_itself(target, tmp_path):
    path = _weights(tmp_path / "m.weights.h5")
    with h5py.File(path, "a") as file:
        file["layers/dense/again"] = file[target]
    refused(readers.edit, path, match="one object")


def test_many_links_to_one_array(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("vars")
        group["0"] = np.ones(1 << 18, "float32")
        for n in range(10_000):
            group[f"{n + 1}"] = group["0"]
    refused(readers.edit, path, match="one object")


def test_deep_groups(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/" * 2000 + "vars/0", data=KERNEL)
    refused(readers.edit, path, match="deep")


def _old(path, names):
    """A file of the older format with names of layers, in as many attributes as they need."""
    with h5py.File(path, "w") as file:
        dense = file.create_group("d")
        dense["kernel"], dense["bias"] = KERNEL, BIAS
        dense.attrs["weight_names"] = np.array([b"kernel", b"bias"])
        names = np.array(names)
        for n, part in enumerate(np.array_split(names, -(-names.nbytes // 60_000))):
            file.attrs[f"layer_names{n}"] = part
    return path


def test_names_of_layers_are_each_given_once(tmp_path):
    refused(readers.load_weights, _old(tmp_path / "m.h5", [b"d"] * 600_000), match="twice")


def test_names_of_layers_have_groups(tmp_path):
    names = [b"%06d" % n for n in range(600_000)]
    refused(readers.load_weights, _old(tmp_path / "m.h5", names), match="no group")


def test_names_of_layers_have_groups_of_their_own(tmp_path):
    path = tmp_path / "m.h5"
    _old(path, [b"d%d" % n for n in range(5000)])
    with h5py.File(path, "a") as file:
        for n in range(5000):
            file[f"d{n}"] = file["d"]
    refused(readers.load_weights, path, match="one group")


def test_names_of_weights_are_each_given_once(tmp_path):
    path = _old(tmp_path / "m.h5", [b"d"])
    with h5py.File(path, "a") as file:
        file["d"].attrs["weight_names"] = np.array([b"kernel"] * 5000)
    refused(readers.load_weights, path, match="twice")


@pytest.mark.parametrize("name", [b"", b".", b"..", b"/", b"d/", b"/d", b"d/../d", b"\xff\xfe"])
def test_names_of_layers_are_names(name, tmp_path):
    refused(readers.load_weights, _old(tmp_path / "m.h5", [name]))


def _index(tmp_path, entry, total=0):
    model = readers.small_model()
    path = tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=1.0)
    index = json.loads(path.read_text())
    places = index["weight_map"]
    index["weight_map"] = {key: entry(value) for key, value in places.items()}
    path.write_text(json.dumps(index))
    return path


def test_an_index_names_a_file_once(tmp_path):
    path = _index(tmp_path, lambda value: value * 300_000 if isinstance(value, list) else [value] * 300_000)
    refused(readers.load_weights, path, match="twice")


def test_an_index_names_files_that_are_there(tmp_path):
    path = _index(tmp_path, lambda _: [f"m_{n:05d}.weights.h5" for n in range(1, 300_000)])
    refused(readers.load_weights, path, match="missing")


@pytest.mark.parametrize("entry", [3, None, {}, [[]], [{}], [3, 3], "", "m.weights.h5", ["\0"], True])
def test_an_index_has_lists_of_names(entry, tmp_path):
    refused(readers.load_weights, _index(tmp_path, lambda _: entry))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"weight_map": []}', b"\xff", b"[" * 100_000])
def test_an_index_is_an_index(content, tmp_path):
    path = _index(tmp_path, lambda value: value)
    path.write_bytes(content)
    refused(readers.load_weights, path)


def test_an_index_is_a_short_text(tmp_path):
    path = _index(tmp_path, lambda value: value)
    os.truncate(path, 4 << 30)
    refused(readers.load_weights, path)


@pytest.fixture
def editor(tmp_path, capsys):
    return readers.edit(_weights(tmp_path / "m.weights.h5"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b", "vars", 3])
def test_the_editor_takes_names_alone(name, editor):
    before = editor.weights_dict["layers"]["dense"]["0"]
    with pytest.raises(ValueError, match="name"):
        editor.rename_object("dense", name)
    with pytest.raises(ValueError, match="name"):
        editor.add_weights("dense", {name: KERNEL})
    with pytest.raises(ValueError, match="name"):
        editor.add_object("layers/dense_2", {name: KERNEL})
    assert editor.weights_dict["layers"]["dense"]["0"] is before


@pytest.mark.parametrize("path", ["", "/", "..", "layers/..", "layers/a\0b"])
def test_the_editor_takes_paths_of_names(path, editor):
    with pytest.raises(ValueError, match="name"):
        editor.add_object(path, {"0": KERNEL})


def test_the_editor_loses_nothing_by_a_name(editor):
    editor.add_object("layers/other", {"0": BIAS})
    with pytest.raises(ValueError, match="already"):
        editor.rename_object("layers/other", "dense")
    assert set(editor.weights_dict["layers"]) == {"dense", "other"}
    editor.rename_object("layers/other", "other")
    with pytest.raises(ValueError, match="weight"):
        editor.add_weights("layers/other/0", {"1": BIAS})
    with pytest.raises(ValueError, match="weight"):
        editor.delete_weight("layers/other/0", "0")


def test_what_is_inside_of_vars_and_beside_it(tmp_path):
    path = _weights(tmp_path / "m.weights.h5")
    with h5py.File(path, "a") as file:
        file["layers/dense"].create_group("0")
    refused(readers.edit, path, match="beside")


CONFIGS = (
    {},
    {"class_name": 3, "config": 3},
    {"class_name": "Sequential"},
    {"class_name": "Sequential", "config": 3},
    {"class_name": "Sequential", "config": [3]},
    {"class_name": "Sequential", "config": {"layers": 3}},
    {"class_name": "Sequential", "config": {"layers": [[]]}},
    {"class_name": "Model", "config": {"layers": [{"class_name": "Dense", "inbound_nodes": 3}]}},
    {"class_name": "Functional", "config": {"layers": [{"class_name": "Dense", "inbound_nodes": [[[]]]}]}},
)


@pytest.mark.parametrize("config", CONFIGS)
def test_configs_of_the_older_format_are_damaged(config, tmp_path):
    path = _old(tmp_path / "m.h5", [b"d"])
    with h5py.File(path, "a") as file:
        file.create_group("model_weights")
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ValueError, match=r"\w"):
        readers.load_model(path)


@pytest.mark.parametrize(
    "training",
    [{"optimizer_config": 3}, {"optimizer_config": {"class_name": 3}}, {"optimizer_config": {}}, {"loss": [3]}],
)
def test_training_configs_of_the_older_format_are_damaged(training, tmp_path):
    path = tmp_path / "m.h5"
    readers.small_model().save(path)
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = json.dumps(training)
    with pytest.raises(ValueError, match=r"\w"):
        readers.load_model(path)
