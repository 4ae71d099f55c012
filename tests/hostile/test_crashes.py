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
from tests.hostile import savers

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
        assert savers.versions(form, path) in ({1}, {2})
    savers.save(form, path, 3)
    assert savers.versions(form, path) == {3}
    assert set(os.listdir(folder)) == savers.expected_files(form, path)


def _save_for_ever(saved: int, form: str, path: str) -> None:
    """Saves both versions by turns until it is killed; tells when the first is saved. Never returns."""
    with contextlib.suppress(BaseException):
        for count in itertools.count():
            savers.save(form, path, 1 + count % 2)
            if count == 0:
                os.write(saved, b"x")
    os._exit(1)


@pytest.mark.parametrize("form", [*savers.NAMES, "checkpoint"])
def test_killed_saves_leave_the_old_or_the_new(form, tmp_path):
    _result(_kill_saves, form, str(tmp_path), 5, 0)


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
    path = os.path.join(folder, savers.PLAIN[form])
    for step in itertools.count():
        savers.save(form, path, 1)
        assert set(os.listdir(folder)) == savers.expected_files(form, path), f"after step {step - 1}"
        ended = _kill_at(step, lambda: savers.save(form, path, 2))
        if not exchanges and not os.path.exists(path):
            atomic.sweep(path)
        assert savers.versions(form, path) in ([{2}] if ended else ({1}, {2})), f"at step {step}"
        if ended:
            return step
    raise AssertionError


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("form", savers.PLAIN)
def test_killed_before_each_step(form, exchanges, tmp_path):
    assert _result(_kill_at_each_step, form, str(tmp_path), exchanges) >= 3


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


def _train(seconds: float | None, cache: str, folder: str | None, options: dict) -> Any:
    """The weights and the losses at the end of a training; None if it was killed that long after it had begun."""
    process, receive = _start(_answer_begun, cache, folder, options)
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


def _kill_trainings(options: dict, folder: Any, kills: int, seed: int) -> None:
    """Interrupts trainings again and again; each that comes to its end is compared, and the next one begins."""
    moment, cache, place = random.Random(seed), str(folder / "cache"), folder / "b"
    weights, losses = _train(None, cache, None, {})
    while kills:
        found = _train(moment.uniform(0, 0.3), cache, str(place), options)
        kills -= found is None
        if found is None and not kills:
            found = _train(None, cache, str(place), options)
        if found is not None:
            assert found[0] == weights
            assert found[1] == losses[len(losses) - len(found[1]) :]
            assert not place.exists()


def test_killed_trainings_go_on_as_if_they_were_not(tmp_path):
    _kill_trainings(_BACKUPS["each batch, double"], tmp_path, 3, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _BACKUPS)
def test_a_hundred_killed_trainings_go_on_as_if_they_were_not(kind, tmp_path):
    _kill_trainings(_BACKUPS[kind], tmp_path, 100, seed=3)


# ---- at the same time ----


def _save_many(form: str, path: str, count: int, seed: int) -> None:
    for version in random.Random(seed).choices((1, 2), k=count):
        savers.save(form, path, version)


def _read_many(form: str, path: str, seconds: float) -> int:
    end, read = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        assert savers.versions(form, path) in ({1}, {2})
        read += 1
    return read


@pytest.mark.parametrize("form", savers.PLAIN)
def test_concurrent_saves(form, tmp_path):
    path = str(tmp_path / savers.PLAIN[form])
    running = [_start(_answer, _save_many, form, path, 30, seed) for seed in range(4)]
    answers = [receive.recv() for _, receive in running]
    for process, _ in running:
        process.join()
    assert answers == [(None, None)] * 4
    assert savers.versions(form, path) in ({1}, {2})
    savers.save(form, path, 3)
    assert set(os.listdir(tmp_path)) == savers.expected_files(form, path)


@pytest.mark.parametrize("form", ["file", "plain shards"])
def test_reading_while_others_save(form, tmp_path):
    path = str(tmp_path / savers.PLAIN[form])
    savers.save(form, path, 1)
    writing = [_start(_answer, _save_many, form, path, 10_000, seed) for seed in range(2)]
    try:
        assert _result(_read_many, form, path, 1.0) >= 5
        assert all(process.is_alive() for process, _ in writing)
    finally:
        for process, _ in writing:
            process.kill()
            process.join()
