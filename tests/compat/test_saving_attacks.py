"""Every known attack on Keras's loaders, built here and refused; and files damaged at random: ValueError."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import marshal
import os
import pathlib
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compat as keras
from compat import layers

FORMATS = ("archive", "folder", "old")


def _model():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, name="d")], name="m")


@pytest.fixture(params=FORMATS)
def write(request, tmp_path):
    """A function that saves a model in a format, with its config changed."""

    def written(change):
        config = keras.saving.serialize_keras_object(_model())
        change(config)
        path = tmp_path / {"archive": "bad.keras", "folder": "bad", "old": "bad.h5"}[request.param]
        if request.param == "old":
            _model().save(path)
            with h5py.File(path, "a") as file:
                file.attrs["model_config"] = json.dumps(config)
            return path
        _model().save(path, zipped=request.param == "archive")
        if request.param == "folder":
            (path / "config.json").write_text(json.dumps(config))
            return path
        with zipfile.ZipFile(path) as archive:
            weights = archive.read("model.weights.h5")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", weights)
        return path

    return written


def _layer(config):
    return config["config"]["layers"][1]


def _code():
    return base64.b64encode(marshal.dumps(compile("open('pwned', 'w')", "x", "exec"))).decode()


GADGETS = {
    "marshalled lambda (CVE-2024-3660)": {
        "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
        "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": _code()}}},
    },
    "lambda of Keras 2": {
        "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
        "config": {"name": "l", "function": [_code(), None, None], "function_type": "lambda"},
    },
    "module and class (CVE-2025-1550)": {
        "module": "subprocess", "class_name": "run", "registered_name": None, "config": {"args": ["touch", "pwned"]},
    },
    "function of a module (CVE-2025-1550)": {
        "module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function",
    },
    "keras.utils.get_file (CVE-2025-8747)": {
        "module": "keras.utils", "class_name": "get_file", "registered_name": None,
        "config": {"fname": "pwned", "origin": "file:///etc/passwd"},
    },
    "unsafe switch (CVE-2025-9906)": {
        "module": "keras.config", "class_name": "enable_unsafe_deserialization", "registered_name": None, "config": {},
    },
    "unsafe switch of keras.src (CVE-2025-9906)": {
        "module": "keras.src.saving.serialization_lib", "class_name": "enable_unsafe_deserialization",
        "registered_name": None, "config": {},
    },
    "nested load_model (CVE-2025-9906)": {
        "module": "keras.models", "class_name": "load_model", "registered_name": None,
        "config": {"filepath": "other.keras", "safe_mode": False},
    },
    "torch module (CVE-2025-49655)": {
        "module": "keras.layers", "class_name": "TorchModuleWrapper", "registered_name": None,
        "config": {"module": {"class_name": "__bytes__", "config": {"value": "gASVBQ=="}}, "name": "t"},
    },
    "vocabulary of a path (CVE-2025-12058)": {
        "module": "keras.layers", "class_name": "StringLookup", "registered_name": None,
        "config": {"name": "s", "vocabulary": "/etc/passwd"},
    },
    "SavedModel of elsewhere (CVE-2026-1462)": {
        "module": "keras.layers", "class_name": "TFSMLayer", "registered_name": None,
        "config": {"name": "s", "filepath": "/tmp/x", "call_endpoint": "serve"},
    },
    "spoofed registered name (PR 22729)": {
        "module": "os", "class_name": "system", "registered_name": "keras>Dense", "config": {"command": "touch pwned"},
    },
    "class of numpy": {"module": "numpy", "class_name": "load", "registered_name": None, "config": {"file": "x.npy"}},
    "dunder name": {"module": "keras.layers", "class_name": "__class__", "registered_name": None, "config": {}},
}  # fmt: skip


@pytest.mark.parametrize("name", GADGETS)
def test_gadgets_in_place_of_a_layer(write, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gadget = GADGETS[name]

    def change(config):
        config["config"]["layers"][1] = gadget | {"build_config": {"input_shape": [None, 3]}}

    path = write(change)
    with pytest.raises((ValueError, ImportError)):
        keras.saving.load_model(path)
    assert not os.path.exists("pwned")


@pytest.mark.parametrize("name", GADGETS)
@pytest.mark.parametrize("field", ["activation", "kernel_initializer", "kernel_regularizer"])
def test_gadgets_inside_a_layer(name, field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = keras.saving.serialize_keras_object(_model())
    _layer(config)["config"][field] = GADGETS[name]
    with pytest.raises((ValueError, TypeError, ImportError)):
        keras.models.model_from_json(json.dumps(config))
    assert not os.path.exists("pwned")


def test_safe_mode_cannot_be_turned_off(write):
    path = write(lambda config: None)
    assert keras.saving.load_model(path, safe_mode=False).name == "m"

    def code(config):
        _layer(config)["config"]["activation"] = {"class_name": "__lambda__", "config": {"code": _code()}}

    with pytest.raises(ValueError, match="lambda"):
        keras.saving.load_model(write(code), safe_mode=False)
    assert not os.path.exists("pwned")


def _bad_weights(kind, file, group, secret):
    if kind == "external group":
        del file[group]
        file[group] = h5py.ExternalLink(str(secret), "/")
        return
    name = next(iter(file[group]))
    shape = file[group][name].shape
    del file[group][name]
    if kind == "external link":
        file[group][name] = h5py.ExternalLink(str(secret), "/x")
    elif kind == "soft link":
        file[group][name] = h5py.SoftLink("/elsewhere")
    elif kind == "virtual":
        layout = h5py.VirtualLayout(shape, "float32")
        layout[:] = h5py.VirtualSource(str(secret), "x", shape)
        file[group].create_virtual_dataset(name, layout)
    elif kind == "external data":
        file[group].create_dataset(name, shape, "float32", external=[(str(secret), 0, 4 * int(np.prod(shape)))])
    elif kind == "shape bomb":
        file[group].create_dataset(name, (1 << 30, 1 << 20), "float32", chunks=(1024, 1024))
    elif kind == "text":
        file[group].create_dataset(name, shape, h5py.string_dtype())


BAD_WEIGHTS = ("external group", "external link", "soft link", "virtual", "external data", "shape bomb", "text")


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
@pytest.mark.parametrize("form", ["weights", "old", "editor", "shards"])
def test_weights_that_lead_elsewhere(kind, form, tmp_path):
    """CVE-2026-1669, CVE-2026-12480, CVE-2026-0897."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.ones((3, 2), "float32")
    model = _model()
    if form == "old":
        path, group = tmp_path / "m.h5", "model_weights/d/m/d"
        model.save(path)
        target = path
    elif form == "shards":
        path, group = tmp_path / "m.weights.json", "layers/dense/vars"
        model.save_weights(path, max_shard_size=1.0)
        (target,) = tmp_path.glob("m_save-*.weights.h5")
    else:
        path, group = tmp_path / "m.weights.h5", "layers/dense/vars"
        model.save_weights(path)
        target = path
    with h5py.File(target, "a") as file:
        _bad_weights(kind, file, group, secret)
    with pytest.raises(ValueError, match=r"refused|shape|no number|far more|Dense"):
        keras.saving.KerasFileEditor(path) if form == "editor" else model.load_weights(path)
    if form == "old":
        with pytest.raises(ValueError, match=r"refused|shape|no number|far more"):
            keras.saving.load_model(path)


@pytest.mark.parametrize("name", ["../m_00000.weights.h5", "/etc/passwd", "other.weights.h5", 3, None])
def test_an_index_that_names_other_files(tmp_path, name):
    model = _model()
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=1.0)
    index = json.loads((tmp_path / "m.weights.json").read_text())
    index["weight_map"] = {k: [name] for k in index["weight_map"]}
    (tmp_path / "m.weights.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"refused|Dense"):
        model.load_weights(tmp_path / "m.weights.json")


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "."])
def test_names_of_layers_do_not_lead_out_of_the_file(write, name, tmp_path):
    """CVE-2026-12479: paths in a file come from classes and attributes, never from names."""

    def change(config):
        _layer(config)["config"]["name"] = name

    path = write(change)
    before = sorted(str(p) for p in tmp_path.parent.iterdir())
    with contextlib.suppress(ValueError):
        keras.saving.load_model(path).save(tmp_path / "again.keras")
    assert sorted(str(p) for p in tmp_path.parent.iterdir()) == before


@pytest.mark.parametrize(
    "name", ["assets/../../evil", "assets/layers/../../../evil", "/assets/evil", "assets\\..\\evil"]
)
def test_assets_out_of_the_archive(tmp_path, name):
    _model().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ValueError, match="out of itself"):
        keras.saving.load_model(tmp_path / "m.keras")
    assert os.listdir(tmp_path) == ["m.keras"]


def test_asset_links_in_a_folder(tmp_path):
    _model().save(tmp_path / "m", zipped=False)
    (tmp_path / "m" / "assets").mkdir(exist_ok=True)
    (tmp_path / "m" / "assets" / "words.txt").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="is a link"):
        keras.saving.load_model(tmp_path / "m")


def test_a_member_named_twice_and_deep_json(tmp_path):
    _model().save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="twice"):
        keras.saving.load_model(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"damaged|config"):
        keras.models.model_from_json("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
@settings(max_examples=40)
@given(data=st.data())
def test_damaged_files(suffix, data, tmp_path_factory):
    """Cut off or with bits flipped: loaded as it was, or a ValueError."""
    model = _model()
    folder = pathlib.Path(tmp_path_factory.mktemp("fuzz"))
    path = folder / f"m{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    with contextlib.suppress(ValueError):
        if suffix == ".weights.h5":
            model.load_weights(path)
        else:
            model = keras.saving.load_model(path)
    assert model.count_params() == 8
    assert [p.name for p in folder.iterdir()] == [path.name]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1 << 40) | st.text(max_size=6) | st.just("keras.layers"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def _places(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


@settings(max_examples=50)
@given(data=st.data())
def test_mutated_configs(data):
    """Any value in a config replaced by another: a model, or a ValueError, TypeError as Keras raises them."""
    config = keras.saving.serialize_keras_object(_model())
    *parents, last = data.draw(st.sampled_from(sorted(filter(None, _places(config)), key=str)))
    holder = config
    for key in parents:
        holder = holder[key]
    holder[last] = data.draw(_JSON)
    if _large(config):
        return
    buffer = io.BytesIO()
    _model().save(buffer)
    with zipfile.ZipFile(buffer) as archive:
        weights = archive.read("model.weights.h5")
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    try:
        found = keras.saving.load_model(changed)
    except ValueError:
        found = None
    assert found is None or isinstance(found, keras.Model)


def _large(config):
    """Whether a config asks for a layer that is honestly large: that is no attack."""
    return any(isinstance(v, int) and v > 1 << 20 for v in _leaves(config))


def _leaves(value):
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value
