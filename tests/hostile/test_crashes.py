"""What is killed in the middle of a save leaves the old or the new, whole; the next save sweeps what it left."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import random
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from compat.callbacks import BackupAndRestore
from kfun import atomic
from tests.hostile import outputs, savers

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
_STEPS = ("mkdir", "rename", "replace", "remove", "unlink", "rmdir", "link", "fsync")


def _start(function: Callable, *args: Any) -> tuple[Any, Any]:
    """A process forked before JAX started, and the end of a pipe, which the function gets first."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hostile.readers"])  # one server for all tests of hostile files
    receive, send = context.Pipe(False)
    process = context.Process(target=function, args=(send, *args), daemon=True)
    process.start()
    send.close()
    return process, receive


def _result(function: Callable, *args: Any) -> Any:
    """What the function returns in a process of its own."""
    process, receive = _start(_answer, function, *args)
    error, value = receive.recv() if receive.poll(300) else ("it took too long", None)
    process.kill()
    process.join()
    assert error is None, error
    return value


def _answer(send: Any, function: Callable, *args: Any) -> None:
    try:
        send.send((None, function(*args)))
    except BaseException:
        send.send((traceback.format_exc(), None))


# ---- killed at a random moment ----


def _kill_saves(form: str, folder: str, kills: int, seed: int) -> None:
    path, moment = os.path.join(folder, (savers.NAMES | savers.PLAIN)[form]), random.Random(seed)
    for version in (1, 2):
        savers.save(form, path, version)
    for _ in range(kills):
        receive, send = os.pipe()
        process = os.fork()
        if process == 0:
            _save_for_ever(send, form, path)
        assert select.select([receive], [], [], 30)[0], "the saves do not go on"
        time.sleep(moment.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
        os.close(receive)
        os.close(send)
        assert savers.versions(form, path) in ({1}, {2}), form
    savers.save(form, path, 3)
    assert savers.versions(form, path) == {3}, form
    assert set(os.listdir(folder)) == savers.expected_files(form, path)


def _save_for_ever(saved: int, form: str, path: str) -> None:
    """Saves both versions by turns until it is killed; tells when the first is saved. Never returns."""
    with contextlib.suppress(BaseException):
        for count in itertools.count():
            savers.save(form, path, 1 + count % 2)
            if count == 0:
                os.write(saved, b"x")
    os._exit(1)


def _kill_saves_of_each_form(folder: str, kills: int, seed: int) -> None:
    for form in [*savers.NAMES, "checkpoint"]:
        inner = os.path.join(folder, form)
        os.mkdir(inner)
        _kill_saves(form, inner, kills, seed)


def test_killed_saves_leave_the_old_or_the_new(tmp_path):
    _result(_kill_saves_of_each_form, str(tmp_path), 2, 0)  # in one process: to start JAX takes most of the time


@pytest.mark.slow
@pytest.mark.parametrize("form", [*savers.NAMES, "checkpoint"])
def test_a_hundred_killed_saves_leave_the_old_or_the_new(form, tmp_path):
    _result(_kill_saves, form, str(tmp_path), 100, 1)


# ---- killed before each step that changes the disk ----


def _kill_at(step: int, function: Callable) -> bool:
    """Runs a function in a forked process that kills itself before a step of those that change the disk, or at its end.

    Returns whether it came to the end.
    """
    process = os.fork()
    if process == 0:
        left = itertools.count(step, -1)

        def counted(call: Callable) -> Callable:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                if next(left) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapped

        for name in _STEPS:
            setattr(os, name, counted(getattr(os, name)))
        exchange = atomic._system_exchange()
        atomic._system_exchange = lambda: exchange and counted(exchange)
        with contextlib.suppress(BaseException):
            function()
            os._exit(0)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == 0


def _kill_at_each_step(form: str, folder: str, exchanges: bool) -> int:
    if not exchanges:
        atomic._system_exchange = lambda: None
    path = os.path.join(folder, (savers.PLAIN | outputs.NAMES)[form])
    for step in itertools.count():
        savers.save(form, path, 1)
        assert set(os.listdir(folder)) == savers.expected_files(form, path), f"after step {step - 1}"
        ended = _kill_at(step, lambda: savers.save(form, path, 2))
        if form == "plain folder" and not os.path.exists(path):
            assert not exchanges
            atomic.sweep(path)
        assert savers.versions(form, path) in ([{2}] if ended else ({1}, {2})), f"at step {step}"
        if ended:
            return step
    raise AssertionError


_EXCHANGES = [*[(form, True) for form in savers.PLAIN], ("plain folder", False), ("checkpoint", False)]


@pytest.mark.parametrize(("form", "exchanges"), _EXCHANGES)
def test_killed_before_each_step(form, exchanges, tmp_path):
    assert _result(_kill_at_each_step, form, str(tmp_path), exchanges) >= 3


@pytest.mark.parametrize("form", outputs.NAMES)
def test_other_outputs_killed_before_each_step(form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnx_ir")
    folder = tmp_path / "targets"
    folder.mkdir()
    assert _result(_kill_at_each_step, form, str(folder), True) >= 3


def _read_what_was_moved_away(form: str, path: str) -> None:
    """As a save leaves it that cannot exchange folders and is killed between its two steps."""
    parent, old = os.path.split(path)[0], f"{path}-old"
    savers.save(form, old, 1)
    savers.save(form, path, 2)
    left = os.path.join(parent, ".m.saving-0123abcd")
    os.mkdir(left)
    os.rename(path, os.path.join(left, "new"))
    os.rename(old, os.path.join(left, "old-00000000"))
    assert savers.versions(form, path) == {2}
    assert os.listdir(parent) == [os.path.basename(path)]


@pytest.mark.parametrize("form", ["folder", "checkpoint"])
def test_what_was_moved_away_is_read(form, tmp_path):
    _result(_read_what_was_moved_away, form, str(tmp_path / "m"))


def _restored(folder: str, double: bool) -> int:
    backup, model = BackupAndRestore(folder, double_checkpoint=double), savers.Backed(0)
    backup.set_model(model)
    backup.on_train_begin()
    place = model.__dict__.pop("_kf_resume")
    assert place.epoch == place.batch == place.logs["loss"] == place.metrics[0] == model.version
    return model.version


def _back_up(folder: str, double: bool, version: int) -> None:
    backup = BackupAndRestore(folder, save_freq=1, double_checkpoint=double)
    backup.set_model(savers.Backed(version))
    backup._save(version, version - 1, version, 0, {"loss": version})


def _kill_backups_at_each_step(folder: str, double: bool) -> int:
    inner = os.path.join(folder, "b")
    for step in itertools.count():
        for version in (1, 2, 3):
            _back_up(inner, double, version)
        assert sorted(os.listdir(inner)) == sorted(
            f"{name}{end}"
            for name in ("latest.weights.h5", "training_metadata.json")
            for end in ([""] + [".bkp"] * double)
        )
        ended = _kill_at(step, lambda: _back_up(inner, double, 4))
        last = _restored(inner, double)
        assert last in ([4] if ended else (3, 4)), f"at step {step}"
        if double:
            os.remove(os.path.join(inner, "latest.weights.h5"))
            os.remove(os.path.join(inner, "training_metadata.json"))
            assert _restored(inner, double) in (2, 3), f"at step {step}"
        if ended:
            return step
    raise AssertionError


@pytest.mark.parametrize("double", [False, True])
def test_backups_killed_before_each_step(double, tmp_path):
    assert _result(_kill_backups_at_each_step, str(tmp_path), double) >= 6


# ---- trainings killed at a random moment ----

_BACKUPS = {
    "each batch": {"save_freq": 1},
    "each epoch": {},
    "each batch, double": {"save_freq": 1, "double_checkpoint": True},
    "each epoch, double": {"double_checkpoint": True},
}


def _train(seconds: float | None, cache: str, folder: str | None, options: dict, epochs: int) -> Any:
    """The weights and the losses at the end of a training; None if it was killed that long after it had begun."""
    process, receive = _start(_answer_begun, cache, folder, options, epochs)
    try:
        answer = receive.recv()
        if answer == "begun":
            if seconds is not None and not receive.poll(seconds):
                return None
            answer = receive.recv()
        error, value = answer
        assert error is None, error
        return value
    finally:
        process.kill()
        process.join()


def _answer_begun(send: Any, *args: Any) -> None:
    _answer(send, savers.train, send, *args)


def _kill_trainings(options: dict, folder: Any, kills: int, seed: int, epochs: int = 40) -> None:
    """Interrupts trainings again and again; each that comes to its end is compared, and the next one begins."""
    moment, cache, place = random.Random(seed), str(folder / "cache"), folder / "b"
    weights, losses = _train(None, cache, None, {}, epochs)
    while kills:
        found = _train(moment.uniform(0, 0.3), cache, str(place), options, epochs)
        kills -= found is None
        if found is None and not kills:
            found = _train(None, cache, str(place), options, epochs)
        if found is not None:
            assert found[0] == weights
            assert found[1] == losses[len(losses) - len(found[1]) :]
            assert not place.exists()


def test_killed_trainings_go_on_as_if_they_were_not(tmp_path):
    _kill_trainings(_BACKUPS["each batch, double"], tmp_path, 1, seed=2, epochs=12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _BACKUPS)
def test_a_hundred_killed_trainings_go_on_as_if_they_were_not(kind, tmp_path):
    _kill_trainings(_BACKUPS[kind], tmp_path, 100, seed=3)


# ---- at the same time ----


def _save_many(form: str, path: str, count: int, seed: int) -> None:
    for version in random.Random(seed).choices((1, 2), k=count):
        savers.save(form, path, version)


def _read_while_another_saves(form: str, path: str, reads: int) -> None:
    for version in (1, 2):
        savers.save(form, path, version)
    receive, send = os.pipe()
    process = os.fork()
    if process == 0:
        _save_for_ever(send, form, path)
    try:
        assert select.select([receive], [], [], 30)[0], "the saves do not go on"
        seen, end = [], time.monotonic() + 20
        # where reading is faster than saving, it takes more of them to see both
        while len(seen) < reads or (not ({1} in seen and {2} in seen) and time.monotonic() < end):
            seen.append(savers.versions(form, path))
        assert os.waitpid(process, os.WNOHANG) == (0, 0), "the saves have ended"
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert all(found in ({1}, {2}) for found in seen)
    assert {1} in seen
    assert {2} in seen


@pytest.mark.parametrize(("form", "reads"), [("file", 200), ("plain shards", 50), ("checkpoint", 50), ("folder", 20)])
def test_reading_while_another_saves(form, reads, tmp_path):
    _result(_read_while_another_saves, form, str(tmp_path / (savers.NAMES | savers.PLAIN)[form]), reads)
