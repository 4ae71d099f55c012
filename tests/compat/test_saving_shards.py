"""Weights in several files: names new for each save, read by Keras and here, and what goes and stays around them."""

from __future__ import annotations

import json
import os
import re

os.environ["KERAS_BACKEND"] = "jax"

import h5py
import keras
import numpy as np
import pytest

import compat

_SIZE = 1e-5  # GB: each layer's kernel fills a file


def _model(api, value):
    inner = [api.layers.Dense(40, name=f"d{i}") for i in range(4)]
    made = api.Sequential([api.Input((40,)), *inner])
    made.set_weights([np.full(w.shape, value + i, "float32") for i, w in enumerate(made.get_weights())])
    return made


def _named(path):
    return {name for names in json.loads(path.read_text())["weight_map"].values() for name in names}


def _values(model):
    return [float(w.flat[0]) for w in model.get_weights()]


@pytest.mark.parametrize(("writer", "reader"), [(keras, compat), (compat, keras), (compat, compat)])
def test_shards_go_both_ways(writer, reader, tmp_path):
    path = tmp_path / "w.weights.json"
    for value in (10, 20):
        _model(writer, value).save_weights(path, max_shard_size=_SIZE, overwrite=True)
        target = _model(reader, 0)
        target.load_weights(path)
        assert _values(target) == [value + i for i in range(8)]


def test_names_are_new_for_each_save_and_former_ones_go(tmp_path):
    path, seen = tmp_path / "w.weights.json", []
    for value in range(3):
        _model(compat, value).save_weights(path, max_shard_size=_SIZE, overwrite=True)
        named = _named(path)
        assert len(named) == 4
        assert all(re.fullmatch(r"w_save-[0-9a-f]{8}_0000\d\.weights\.h5", name) for name in named)
        assert set(os.listdir(tmp_path)) == {path.name, "w_00000.weights.h5", *named}
        assert not any(named & others for others in seen)
        seen.append(named)


def test_the_files_of_keras_stay_and_do_no_harm_when_theirs_is_replaced(tmp_path):
    path = tmp_path / "w.weights.json"
    _model(keras, 1).save_weights(path, max_shard_size=_SIZE)
    before = {name: (tmp_path / name).read_bytes() for name in _named(path)}
    assert sorted(before) == [f"w_0000{i}.weights.h5" for i in range(4)]
    _model(compat, 2).save_weights(path, max_shard_size=_SIZE, overwrite=True)
    assert set(os.listdir(tmp_path)) == {path.name, *before, *_named(path)}
    assert all((tmp_path / name).read_bytes() == before[name] for name in sorted(before)[1:])
    with h5py.File(tmp_path / "w_00000.weights.h5") as first:
        assert list(first) == []
    for api in (keras, compat):
        target = _model(api, 0)
        target.load_weights(path)
        assert _values(target) == [2 + i for i in range(8)]


@pytest.mark.parametrize("numbers", [(0, 2), (1,), (0, 1, 7), (20240101,)])
def test_an_index_from_elsewhere_that_names_files_of_the_user_makes_none_go(numbers, tmp_path):
    path = tmp_path / "w.weights.json"
    mine = [f"w_{i:05d}.weights.h5" for i in numbers]
    for name in mine:
        (tmp_path / name).write_text(name)
    path.write_text(json.dumps({"metadata": {}, "weight_map": {f"/x{i}": [name] for i, name in enumerate(mine)}}))
    for value in (1, 2):
        _model(compat, value).save_weights(path, max_shard_size=_SIZE, overwrite=True)
        assert all((tmp_path / name).read_text() == name for name in mine)
        assert set(os.listdir(tmp_path)) == {path.name, "w_00000.weights.h5", *mine, *_named(path)}


def test_a_run_that_is_not_whole_stays_as_it_is(tmp_path):
    path = tmp_path / "w.weights.json"
    _model(keras, 1).save_weights(path, max_shard_size=_SIZE)
    (tmp_path / "w_00002.weights.h5").unlink()
    before = (tmp_path / "w_00000.weights.h5").read_bytes()
    _model(compat, 2).save_weights(path, max_shard_size=_SIZE, overwrite=True)
    assert (tmp_path / "w_00000.weights.h5").read_bytes() == before


def test_only_left_overs_of_the_same_weights_are_swept(tmp_path):
    path = tmp_path / "w.weights.json"
    ours = ["w_save-01234567_00000.weights.h5", "w_save-01234567_00001.weights.h5"]
    others = [
        "w_00007.weights.h5", "w_20240101_00000.weights.h5", "w_save-01234567.weights.h5",
        "w_save-0123456_0.weights.h5", "ww_save-01234567_00000.weights.h5",
        "v_save-01234567_00000.weights.h5", "w_save-01234567_00000.weights.h5.bkp",
    ]  # fmt: skip
    for name in [*ours, *others]:
        (tmp_path / name).write_text(name)
    _model(compat, 1).save_weights(path, max_shard_size=_SIZE)
    assert not any((tmp_path / name).exists() for name in ours)
    assert all((tmp_path / name).read_text() == name for name in others)


def test_a_save_that_fails_leaves_the_former_one(tmp_path):
    path = tmp_path / "w.weights.json"
    _model(compat, 1).save_weights(path, max_shard_size=_SIZE)
    before = set(os.listdir(tmp_path))
    with pytest.raises(ValueError, match="max_shard_size allows"):
        _model(compat, 2).save_weights(path, max_shard_size=1e-7, overwrite=True)
    assert set(os.listdir(tmp_path)) == before
    target = _model(compat, 0)
    target.load_weights(path)
    assert _values(target) == [1 + i for i in range(8)]


def test_a_file_that_is_missing_is_told(tmp_path):
    path = tmp_path / "w.weights.json"
    _model(compat, 1).save_weights(path, max_shard_size=_SIZE)
    (tmp_path / sorted(_named(path))[2]).unlink()
    with pytest.raises(ValueError, match="the weights are not whole"):
        _model(compat, 0).load_weights(path)
