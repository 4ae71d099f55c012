"""`BackupAndRestore`: an interrupted training goes on as if it had not been interrupted."""

from __future__ import annotations

import functools
import io
import os
import random
import shutil
import zipfile

os.environ["KERAS_BACKEND"] = "jax"

import h5py
import keras
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import Boom, BoomInBatch, X, Y, diary
from tests.compat.callback_tools import model as small


def _model():
    """With dropout, moving statistics and a stateful optimizer: everything that a trajectory hangs on."""
    compat.utils.set_random_seed(3)
    layers = compat.layers
    made = compat.Sequential(
        [compat.Input((3,)), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.4), layers.Dense(1)]
    )
    made.compile("adam", "mse", metrics=["mae"])
    return made


def _fit(model, callbacks=(), epochs=4, **kwargs):
    history = model.fit(X, Y, batch_size=6, epochs=epochs, verbose=0, callbacks=list(callbacks), **kwargs)
    return [*model.get_weights(), *model.optimizer.variables], history.history


@functools.cache
def _whole():
    """The weights, the optimizer's values and the history of a training without an interruption."""
    values, history = _fit(_model())
    return [np.asarray(v) for v in values], history


def _in_three_files(folder):
    """Makes a backup of three files: weights, state and metadata, of one."""
    with h5py.File(folder / "latest.weights.h5", "r+") as file:
        state = {name: file["__training__"][name][()] for name in file["__training__"]}
        del file["__training__"]
    (folder / "training_metadata.json").write_bytes(state.pop("metadata").tobytes())
    np.savez(folder / "training_state.npz", **state)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("save_freq", "epoch", "batch", "first"),
    [("epoch", 1, None, True), (1, 2, 1, True), (1, 2, 3, True), pytest.param("epoch", 1, None, False, marks=SLOW),
     pytest.param("epoch", 2, 2, True, marks=SLOW), pytest.param(3, 2, 2, True, marks=SLOW),
     pytest.param(3, 0, 2, True, marks=SLOW), pytest.param(2, 3, 1, False, marks=SLOW),
     pytest.param(4, 2, 3, True, marks=SLOW)],
)  # fmt: skip
def test_same_trajectory(save_freq, epoch, batch, first, tmp_path):
    wanted, history = _whole()
    backup = compat.callbacks.BackupAndRestore(tmp_path / "b", save_freq=save_freq)
    boom = Boom(epoch) if batch is None else BoomInBatch(epoch, batch)
    with pytest.raises(RuntimeError, match="boom"):
        _fit(_model(), [backup, boom] if first else [boom, backup])
    random.seed(99)  # another process has other random numbers
    np.random.seed(99)
    again = _model()
    random.seed(98)
    np.random.seed(98)
    got, rest = _fit(again, [compat.callbacks.BackupAndRestore(tmp_path / "b", save_freq=save_freq)])
    for value, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=1e-5, atol=1e-7)
    assert len(rest["loss"]) < 5
    np.testing.assert_allclose(rest["loss"], history["loss"][-len(rest["loss"]) :], rtol=1e-5)
    np.testing.assert_allclose(rest["mae"], history["mae"][-len(rest["mae"]) :], rtol=1e-5)
    assert not (tmp_path / "b").exists()


def test_same_trajectory_where_passes_over_the_data_span_epochs(tmp_path):
    wanted, _ = _fit(_model(), steps_per_epoch=2, epochs=6)
    backup = compat.callbacks.BackupAndRestore(tmp_path, save_freq=1)
    with pytest.raises(RuntimeError):
        _fit(_model(), [backup, BoomInBatch(3, 0)], steps_per_epoch=2, epochs=6)
    got, _ = _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path)], steps_per_epoch=2, epochs=6)
    for value, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=1e-5, atol=1e-7)


def test_batches_done_are_not_done_again(tmp_path):
    with pytest.raises(RuntimeError):
        _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, save_freq=1), BoomInBatch(1, 2)])
    watch, seen = diary(compat)
    _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, save_freq=1), watch], epochs=2)
    assert [s[1] for s in seen if s[0] == "on_train_batch_begin"] == [3]
    assert [s[1] for s in seen if s[0] == "on_epoch_begin"] == [1]


def test_delete_checkpoint_and_a_finished_training(tmp_path):
    kept = compat.callbacks.BackupAndRestore(tmp_path / "k", delete_checkpoint=False)
    _fit(_model(), [kept])
    assert (tmp_path / "k" / "latest.weights.h5").exists()
    assert _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path / "k")])[1] == {}
    assert not (tmp_path / "k").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path / "own")])
    assert [p.name for p in (tmp_path / "own").iterdir()] == ["notes.txt"]


def test_double_checkpoint_survives_a_damaged_one(tmp_path):
    wanted, _ = _whole()
    with pytest.raises(RuntimeError):
        _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), Boom(2)])
    (tmp_path / "latest.weights.h5").write_bytes(b"not a file of weights")
    with pytest.warns(UserWarning, match="using the one before"):
        got, _ = _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    for value, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=1e-5, atol=1e-7)


def test_double_checkpoint_holds_two_on_a_disk_without_hard_links(tmp_path, monkeypatch):
    def link(source, target):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", link)
    wanted, _ = _whole()
    with pytest.raises(RuntimeError):
        _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), Boom(2)])
    (tmp_path / "latest.weights.h5").unlink()
    (tmp_path / "training_metadata.json").unlink()
    got, rest = _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    assert len(rest["loss"]) == 2
    for value, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=1e-5, atol=1e-7)


def test_a_backup_in_three_files_is_taken_and_replaced_by_one(tmp_path):
    wanted, history = _whole()
    with pytest.raises(RuntimeError):
        _fit(_model(), [compat.callbacks.BackupAndRestore(tmp_path, save_freq=1), BoomInBatch(1, 2)])
    _in_three_files(tmp_path)
    backup = compat.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    got, rest = _fit(_model(), [backup])
    for value, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), np.asarray(other), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(rest["loss"], history["loss"][1:], rtol=1e-5)
    names = ["latest.weights.h5", "training_metadata.json"]
    assert sorted(os.listdir(tmp_path)) == [names[0], f"{names[0]}.bkp", names[1], f"{names[1]}.bkp"]


def _change_group(path, name, value):
    with h5py.File(path, "r+") as file:
        del file["__training__"][name]
        if value is not None:
            file["__training__"][name] = value


_TORN = b'{"epoch": 2, "batch": 0, "iterations": 3}'
_RUIN_ONE = {
    "weights": lambda path: path.write_bytes(bytes(100)),
    "metadata": lambda path: _change_group(path, "metadata", np.frombuffer(b'{"epoch": "one"}', np.uint8)),
    "deep metadata": lambda path: _change_group(path, "metadata", np.frombuffer(b"[" * 100_000, np.uint8)),
    "list as metadata": lambda path: _change_group(path, "metadata", np.frombuffer(b"[]", np.uint8)),
    "no metadata": lambda path: _change_group(path, "metadata", None),
    "state": lambda path: _change_group(path, "numpy", np.zeros(3, np.uint32)),
    "text in the state": lambda path: _change_group(path, "numpy", np.array([b"x"])),
    "link in the state": lambda path: _change_group(path, "numpy", h5py.ExternalLink("other.h5", "/x")),
    "torn": lambda path: _change_group(path, "metadata", np.frombuffer(_TORN, np.uint8)),
}
_RUIN_THREE = {
    "weights": lambda folder: (folder / "latest.weights.h5").write_bytes(bytes(100)),
    "no weights": lambda folder: (folder / "latest.weights.h5").unlink(),
    "metadata": lambda folder: (folder / "training_metadata.json").write_text('{"epoch": "one"}'),
    "list of logs": lambda folder: (folder / "training_metadata.json").write_text(
        '{"epoch": 1, "batch": 0, "logs": [1]}'
    ),
    "state": lambda folder: (folder / "training_state.npz").write_bytes(b"PK\x03\x04 no"),
    "pickle": lambda folder: np.savez(folder / "training_state.npz", numpy=np.array([{"a": 1}], object)),
    "half a state": lambda folder: np.savez(folder / "training_state.npz", numpy=np.zeros(624, np.uint32)),
    "torn": lambda folder: (folder / "training_metadata.json").write_bytes(_TORN),
}


def _refused(folder, match=""):
    backup = compat.callbacks.BackupAndRestore(folder)
    backup.set_model(_model())
    with pytest.raises(ValueError, match=rf"cannot be used.*{match}.*Delete the folder"):
        backup.on_train_begin()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(RuntimeError):
        _fit(_model(), [compat.callbacks.BackupAndRestore(folder), Boom(1)])
    return folder


@pytest.mark.parametrize("damage", _RUIN_ONE)
def test_damage_is_told(damage, tmp_path, interrupted):
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    _RUIN_ONE[damage](tmp_path / "latest.weights.h5")
    _refused(tmp_path)


@pytest.mark.parametrize("damage", _RUIN_THREE)
def test_damage_in_three_files_is_told(damage, tmp_path, interrupted):
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    _in_three_files(tmp_path)
    _RUIN_THREE[damage](tmp_path)
    _refused(tmp_path)


def test_an_array_that_declares_more_than_the_file_holds_is_refused(tmp_path, interrupted):
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    _in_three_files(tmp_path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u4", "fortran_order": False, "shape": (1 << 38,)})
    with zipfile.ZipFile(tmp_path / "training_state.npz", "w") as archive:
        archive.writestr("numpy.npy", header.getvalue())
    _refused(tmp_path, match="declares the shape")


@pytest.mark.parametrize(("writer", "reader"), [(keras, compat), (compat, keras)], ids=["from_keras", "to_keras"])
def test_backups_of_the_ends_of_epochs_go_both_ways(writer, reader, tmp_path):
    class Stop(writer.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("boom")

    def fit(api, *callbacks):
        trained = small(api, "adam")
        history = trained.fit(X, Y, batch_size=5, epochs=4, shuffle=False, verbose=0, callbacks=list(callbacks))
        return trained.get_weights(), history.history["loss"]

    wanted, losses = fit(reader)
    with pytest.raises(RuntimeError):
        fit(writer, writer.callbacks.BackupAndRestore(str(tmp_path / "b")), Stop())
    got, rest = fit(reader, reader.callbacks.BackupAndRestore(str(tmp_path / "b")))
    np.testing.assert_allclose(rest, losses[2:], rtol=1e-5)
    for value, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5)
