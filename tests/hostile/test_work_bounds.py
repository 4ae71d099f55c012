"""Files that ask for more work than they are long."""

from __future__ import annotations

import json
import os
import string

import h5py
import numpy as np
import pytest

import compat
from compat.saving import orbax
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


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An Orbax checkpoint of readers.small_model."""
    from orbax.checkpoint import v1

    folder = tmp_path_factory.mktemp("checkpoint") / "steps" / "3"
    v1.save_checkpointables(str(folder), orbax.checkpointables(readers.small_model(), False))
    return folder


@pytest.fixture
def copied(checkpoint, tmp_path):
    import shutil

    return shutil.copytree(checkpoint, tmp_path / "steps" / "3")


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
    _declare(copied / "pytree", key, [3, 2], (1 << 15, 1 << 15))
    with pytest.raises(ValueError, match="chunks of"):
        readers.load_weights(copied)


def test_assets_of_a_checkpoint_are_stored(tmp_path):
    """Three gigabytes of zeros, of which nothing is stored."""
    from orbax.checkpoint import v1

    folder = tmp_path / "3"
    tree = {**orbax.checkpointables(readers.small_model(), False), "assets": {"words": np.ones(3, "uint8")}}
    v1.save_checkpointables(str(folder), tree)
    _declare(folder / "assets", b"words/zarr.json", [3 << 30])
    with pytest.raises(ValueError, match="stores"):
        readers.load_model(folder)


def _declare(folder, key, shape, chunk=(1 << 20,)):
    """Gives an array in a checkpoint's part another shape."""
    import tensorstore

    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()
    array = json.loads(store.read(key).result().value)
    array["shape"] = shape
    array["chunk_grid"]["configuration"]["chunk_shape"] = list(chunk)
    array["codecs"][0]["configuration"]["chunk_shape"] = list(chunk)
    store.write(key, json.dumps(array)).result()


class _Named:
    def __init__(self, path):
        self.path = path


def _paths_by_definition(names):
    """Valid for names of which none begins with another that came before it."""
    used = []
    for name in names:
        path, n = name, 0
        while any(u == path or u.startswith(f"{path}/") for u in used):
            n += 1
            path = f"{name}_{n}"
        used.append(path)
    return used


def _some_names(random, count):
    letters = np.array(list("ab/_1"))
    return ["x" + "".join(random.choice(letters, random.integers(0, 6))) + "y" for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_paths_in_a_checkpoint(seed):
    random = np.random.default_rng(seed)
    names = sorted(["a", "a", "a_1", "a", *_some_names(random, 60)], reverse=True)
    found = ["/".join(parts) for _, parts in orbax._paths([_Named(name) for name in names])]
    assert found == _paths_by_definition(names)


@pytest.mark.parametrize("seed", range(5))
def test_no_path_in_a_checkpoint_begins_another(seed):
    random = np.random.default_rng(seed)
    names = ["c", "c/d", "c/d/e", "c/e", "c_1", *_some_names(random, 200), "c"]
    found = ["/".join(parts) for _, parts in orbax._paths([_Named(name) for name in names])]
    assert found[:4] == ["c", "c_1/d", "c_1/d_1/e", "c_1/e"]
    assert len(set(found)) == len(found)
    assert not any(a.startswith(f"{b}/") for a in found for b in found)


def _nearest_by_definition(path, stored, by_name):
    if path in stored:
        return path
    for last in (False, True)[: 1 + by_name]:
        key = path.rpartition("/")[2] if last else path
        found = []
        for other in stored:
            name = other.rpartition("/")[2] if last else other
            long, short = (name, key) if len(name) > len(key) else (key, name)
            if long == short or (long.endswith(short) and long[-len(short) - 1] in "/_"):
                found.append(other)
        if len(found) == 1:
            return found[0]
    return None


@pytest.mark.parametrize("by_name", [False, True])
def test_the_nearest_path_in_a_checkpoint(by_name):
    random, found = np.random.default_rng(0), 0
    for _ in range(200):
        stored = dict.fromkeys(_some_names(random, 4))
        nearest = orbax._Nearest(stored, by_name)
        for path in [*stored, *_some_names(random, 20), *(f"m/{s}" for s in stored), *(f"m_{s}" for s in stored)]:
            near = _nearest_by_definition(path, stored, by_name)
            found += near is not None
            assert nearest.to(path) == near, (path, list(stored))
    assert found > 1000


def test_many_variables_of_one_name():
    variables = [_Named("m/kernel") for _ in range(100_000)]
    assert [parts[-1] for _, parts in orbax._paths(variables)][-1] == "kernel_99999"
    nearest = orbax._Nearest({f"other/{c}_{n}": None for n in range(50_000) for c in string.ascii_lowercase[:2]}, True)
    assert nearest.to("m/a_7") == "other/a_7"


def test_honest_checkpoints_are_read(copied):
    model = readers.load_model(copied.parent)
    again = compat.saving.load_model(copied)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


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
