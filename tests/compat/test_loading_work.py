"""How much `load_model` does, and that what it leaves out changes nothing."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import compat
from bench.calls import load_calls
from compat.engine import spec_memo
from compat.saving import hdf5
from compat.saving.object_headers import ObjectHeaders
from compat.state.changes import quiet_setter
from kfun import abstract


def test_loading_a_small_file_makes_few_calls(tmp_path):
    model = compat.Sequential([compat.Input((8,)), compat.layers.Dense(8, activation="relu"), compat.layers.Dense(8)])
    model.compile("adam", "mse", metrics=["mae"])
    x = np.zeros((16, 8), "float32")
    model.fit(x, x, verbose=0)
    path = str(tmp_path / "small.keras")
    model.save(path)
    assert load_calls(path) < 1260


def test_layers_of_other_seeds_share_one_abstract_run(monkeypatch):
    runs = []
    monkeypatch.setattr(spec_memo, "_SPECS", {})
    monkeypatch.setattr(abstract, "evaluate", lambda *args, run=abstract.evaluate: runs.append(1) or run(*args))
    x = compat.Input((8,))
    for seed in (1, 2, None):
        made = compat.layers.Dense(8, kernel_initializer=compat.initializers.GlorotUniform(seed))(x)
        assert made.shape == (None, 8)
    assert len(runs) == 1
    assert compat.layers.Dense(9)(x).shape == (None, 9)
    assert compat.layers.Dense(8, dtype="float16")(x).dtype == "float16"
    assert len(runs) == 3


class Telling(compat.layers.Layer):
    """A layer that is told of each attribute."""

    def __setattr__(self, name, value):
        self.__dict__.setdefault("_kf_told", []).append(name)
        super().__setattr__(name, value)


def test_a_setter_of_the_users_is_told_of_all_attributes():
    assert {"name", "dtype_policy", "autocast", "built"} <= set(Telling().__dict__["_kf_told"])
    assert quiet_setter(compat.layers.Dense) is object.__setattr__
    assert quiet_setter(Telling) is setattr


def test_a_list_of_inputs_is_the_callers_own():
    a, b = compat.Input((2,)), compat.Input((2,))
    layer = compat.layers.Add()
    layer([a, b])
    layer.input.clear()
    assert [id(tensor) for tensor in layer.input] == [id(a), id(b)]


def test_a_file_that_is_not_kept_in_memory_is_read_alike(tmp_path):
    path, values = tmp_path / "large.h5", np.arange(1 << 19, dtype="float32")
    with h5py.File(path, "w") as file:
        file.create_group("a/vars")["0"] = values
        file["a/vars"].attrs["name"] = "a"
    with hdf5.opened(path) as root:
        group = root.group("a/vars")
        assert group.text("name") == "a"
        assert group.names() == ["0"]
        np.testing.assert_array_equal(group.array("0", "a", values.shape), values)
        with pytest.raises(ValueError, match="shape"):
            group.array("0", "a", (3,))
    with open(path, "rb") as file:
        headers = ObjectHeaders(file)
        for address in (headers.size - 8, headers.size + 1, 1 << 63):
            with pytest.raises(ValueError, match="refers to bytes"):
                headers.described(address)
            with pytest.raises(ValueError, match="refers to bytes"):
                headers.bytes(address, 16)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_an_array_of_nothing_is_no_variable(tmp_path, shape):
    path = tmp_path / "null.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("0", data=h5py.Empty("float32"))
    with hdf5.opened(path) as root, pytest.raises(ValueError, match="no number"):
        root.array("0", "a", shape)
