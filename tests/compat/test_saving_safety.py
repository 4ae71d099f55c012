"""Files that a loader must refuse, and saves that fail half-way. Each bad file is made here."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import copy
import io
import json
import zipfile

import h5py
import keras as real
import numpy as np
import pytest

import compat as keras
from compat import layers


@pytest.fixture
def saved(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="d")])
    model.save(tmp_path / "good.keras")
    return tmp_path / "good.keras"


def _rewritten(path, change_config=None, change_weights=None, extra=None):
    """A copy of an archive with its parts changed."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    if change_config is not None:
        config = json.loads(members["config.json"])
        change_config(config)
        members["config.json"] = json.dumps(config).encode()
    if change_weights is not None:
        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "a") as file:
            change_weights(file)
        members["model.weights.h5"] = buffer.getvalue()
    out = path.with_name("bad.keras")
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (members | (extra or {})).items():
            archive.writestr(name, content)
    return out


def _refused(path, message, error=ValueError):
    with pytest.raises(error, match=message):
        keras.models.load_model(path)


def test_truncated_and_corrupt(saved):
    content = saved.read_bytes()
    for cut in (0, 10, len(content) // 2, len(content) - 30):
        bad = saved.with_name("cut.keras")
        bad.write_bytes(content[:cut])
        _refused(bad, "damaged|cut off")
    flipped = bytearray(content)
    at = content.index(b"HDF") + 2000
    flipped[at : at + 64] = bytes(64)
    bad.write_bytes(bytes(flipped))
    with pytest.raises(ValueError, match=r"damaged|cannot|fit|variable"):
        keras.models.load_model(bad)


def test_missing_member_and_bad_json(saved):
    out = saved.with_name("bad.keras")
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("config.json", "{}")
    _refused(out, "lacks model.weights.h5")
    _refused(_rewritten(saved, extra={"config.json": b"{not json"}), "damaged")


def test_unregistered_class_names_the_fix(saved):
    def rename(config):
        config["config"]["layers"][1] |= {"module": "somewhere", "class_name": "Mine", "registered_name": "Mine"}

    _refused(_rewritten(saved, rename), "somewhere.Mine.*register_keras_serializable")


def test_nothing_is_imported_by_name(saved):
    def gadget(config):
        config["config"]["layers"][1] |= {"module": "os", "class_name": "system", "registered_name": None}
        config["config"]["layers"][1]["config"] = {"command": "touch pwned"}

    _refused(_rewritten(saved, gadget), "not registered")

    def function(config):
        config["config"]["layers"][1]["config"]["activation"] = {
            "module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval",
        }  # fmt: skip

    _refused(_rewritten(saved, function), "not registered")


def test_lambda_code_is_refused(saved):
    def code(config):
        config["config"]["layers"][1]["config"]["activation"] = {
            "class_name": "__lambda__",
            "config": {"value": "4wEA"},
        }

    _refused(_rewritten(saved, code), "lambda.*code")


def test_the_function_of_a_lambda_comes_from_the_reader(saved):
    by, path = 3.0, saved.with_name("l.keras")
    model = keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x * 2 + by, name="twice")])
    model.save(path)
    for safe_mode in (True, False):
        with pytest.raises(ValueError, match=r"lambda, which is code and is not run.*custom_objects"):
            keras.models.load_model(path, safe_mode=safe_mode)
    x = np.arange(6.0).reshape(2, 3)
    mine = keras.models.load_model(path, custom_objects={"twice": lambda x: x * 2 + 3})
    theirs = real.models.load_model(path, safe_mode=False)
    for other in (mine, theirs, keras.models.clone_model(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(other(x), model(x))


def test_unsafe_mode_is_as_safe(saved):
    assert keras.models.load_model(saved, safe_mode=False).built


def test_paths_out_of_the_archive(saved):
    for name in ("../evil", "/evil", "assets/../../evil"):
        _refused(_rewritten(saved, extra={name: b"x"}), "out of itself")
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    out = saved.with_name("bad.keras")
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(out, "w") as bad:
        for n in archive.namelist():
            bad.writestr(n, archive.read(n))
        bad.writestr(link, "/etc/passwd")
    _refused(out, "holds a link")


def test_archive_bomb(saved):
    out = saved.with_name("bad.keras")
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bad:
        for n in archive.namelist():
            bad.writestr(n, archive.read(n))
        bad.writestr("bomb", bytes(200 << 20))
    _refused(out, "expands")


@pytest.mark.parametrize("kind", ["external", "soft", "group", "virtual", "data outside", "shape", "missing"])
def test_weights_that_lead_elsewhere(saved, kind, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.ones((3, 2), "float32")

    def change(file):
        group = file["layers/dense/vars"]
        if kind == "group":
            del file["layers/dense"]
            file["layers/dense"] = h5py.ExternalLink(str(secret), "/")
            return
        del group["0"]
        if kind == "external":
            group["0"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "soft":
            group["0"] = h5py.SoftLink("/layers/dense/vars/1")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 2), "float32")
            layout[:] = h5py.VirtualSource(str(secret), "x", (3, 2))
            group.create_virtual_dataset("0", layout)
        elif kind == "data outside":
            group.create_dataset("0", (3, 2), "float32", external=[(str(secret), 0, 24)])
        elif kind == "shape":
            group.create_dataset("0", (1 << 20, 1 << 20), "float32", chunks=(1024, 1024))

    _refused(_rewritten(saved, change_weights=change), "refused|shape|expected 2 variables")


def test_circular_graph(tmp_path):
    x = keras.Input((3,))
    a = layers.Dense(3, name="one")(x)
    keras.Model(x, layers.Dense(3, name="two")(a)).save(tmp_path / "good.keras")

    def circle(config):
        one = next(layer for layer in config["config"]["layers"] if layer["name"] == "one")
        one["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = ["two", 0, 0]

    _refused(_rewritten(tmp_path / "good.keras", circle), "wait for each other")


def test_a_failed_save_leaves_the_old_file_whole(saved, monkeypatch):
    before = saved.read_bytes()
    model = keras.models.load_model(saved)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("compat.saving.stores.write", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(saved)
    with pytest.raises(OSError, match="disk full"):
        model.save_weights(saved.with_name("w.weights.h5"))
    assert saved.read_bytes() == before
    assert sorted(os.listdir(saved.parent)) == ["good.keras"]


def test_overwrite_and_endings(saved):
    model = keras.models.load_model(saved)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(saved, overwrite=False)
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        model.save(saved.with_name("m.pb"))
    with pytest.raises(FileNotFoundError):
        keras.models.load_model(saved.with_name("none.keras"))
