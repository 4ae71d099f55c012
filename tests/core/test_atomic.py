"""Files and folders that are complete, or not there: whoever fails, stops, or saves at the same time."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kfun import atomic
from kfun.atomic import atomic_file, atomic_folder, beside, sweep


def _refuse_exchange(one, other):
    ctypes.set_errno(errno.EINVAL)
    return -1


@pytest.fixture(params=["system", "none", "refused"])
def exchange(request, monkeypatch):
    """Folders are exchanged by the system, or there is no such call, or the file system refuses it."""
    if request.param == "system":
        if atomic._system_exchange() is None:
            pytest.skip("the system has no call that exchanges two folders")
    else:
        call = None if request.param == "none" else _refuse_exchange
        monkeypatch.setattr(atomic, "_system_exchange", lambda: call)
    return request.param


def _save(path, text, parts=3):
    with atomic_folder(str(path)) as folder:
        for i in range(parts):
            with open(os.path.join(folder, f"{i}.txt"), "w", encoding="utf-8") as file:
                file.write(text)


def _texts(path):
    return {(path / name).read_text() for name in os.listdir(path)}


def test_file_is_written_whole_and_replaced(tmp_path):
    path = tmp_path / "a.bin"
    for content in (b"one", b"two, which is longer", b""):
        with atomic_file(str(path)) as file:
            file.write(content)
            file.seek(0)
            assert file.read() == content
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["a.bin"]


def test_relative_paths_and_the_longest_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "ä" * 127 + "b"  # 255 bytes
    with atomic_file(name) as file:
        file.write(b"x")
    _save(tmp_path / "f", "x")
    with atomic_folder("f") as folder:
        assert os.path.isabs(folder)
    assert sorted(os.listdir()) == ["f", name]
    assert os.listdir("f") == []


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_and_nothing_else(stop, tmp_path, exchange):
    def stop_in_a_file():
        with atomic_file(str(tmp_path / "a")) as file:
            file.write(b"new")
            raise stop

    def stop_in_a_folder():
        with atomic_folder(str(tmp_path / "f")) as folder:
            os.mkdir(os.path.join(folder, "sub"))
            raise stop

    (tmp_path / "a").write_text("old")
    _save(tmp_path / "f", "old")
    for stop_in in (stop_in_a_file, stop_in_a_folder):
        with pytest.raises(stop):
            stop_in()
    assert (tmp_path / "a").read_text() == "old"
    assert _texts(tmp_path / "f") == {"old"}
    assert sorted(os.listdir(tmp_path)) == ["a", "f"]


@pytest.mark.parametrize("old", [None, "folder", "empty folder", "file", "link"])
def test_folder_takes_the_place_of_what_is_there(old, tmp_path, exchange):
    path, elsewhere = tmp_path / "f", tmp_path / "elsewhere"
    _save(elsewhere, "mine")
    if old == "folder":
        _save(path, "old", parts=5)
    elif old == "empty folder":
        path.mkdir()
    elif old == "file":
        path.write_text("old")
    elif old == "link":
        path.symlink_to(elsewhere)
    _save(path, "new")
    assert path.is_dir()
    assert not path.is_symlink()
    assert sorted(os.listdir(path)) == ["0.txt", "1.txt", "2.txt"]
    assert _texts(path) == {"new"}
    assert _texts(elsewhere) == {"mine"}
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "f"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask_which_is_never_changed(umask, tmp_path, monkeypatch):
    before = os.umask(umask)
    change = os.umask
    try:
        monkeypatch.delattr(os, "umask")  # other threads make files meanwhile
        with atomic_file(str(tmp_path / "a")) as file:
            file.write(b"x")
        _save(tmp_path / "f", "x")
    finally:
        change(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o777 & ~umask


def _left_over(path, *names):
    """What a killed save leaves."""
    path.mkdir()
    for name in names:
        (path / name).mkdir()
        (path / name / "0.txt").write_text(name)
    return path


def test_left_overs_of_the_same_target_are_swept(tmp_path):
    gone = [_left_over(tmp_path / ".a.saving-0123abcd", "new"), _left_over(tmp_path / ".a.saving-00000000")]
    others = [".ab.saving-0123abcd", ".a.saving-0123abcde", ".a.saving-0123ABCD", ".b.saving-0123abcd", "a.saving-01"]
    kept = [_left_over(tmp_path / name, "new") for name in others]
    with atomic_file(str(tmp_path / "a")) as file:
        file.write(b"x")
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_saves_that_are_under_way_are_left_alone(tmp_path):
    path = tmp_path / "a"
    with beside(str(path)) as mine:
        with atomic_file(str(path)) as file:
            assert sorted(sweep(str(path))) == sorted([mine, os.path.dirname(file.name)])
            file.write(b"first")
        with atomic_file(str(path)) as file:
            file.write(b"second")
        assert sweep(str(path)) == [mine]
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a"]


def test_without_locks_only_what_is_older_than_a_day_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    young = _left_over(tmp_path / ".a.saving-00000000")
    old = _left_over(tmp_path / ".a.saving-11111111", "new")
    os.utime(old, (time.time() - 90_000,) * 2)
    with atomic_file(str(tmp_path / "a")) as file:
        file.write(b"x")
    assert sorted(os.listdir(tmp_path)) == [young.name, "a"]


def test_a_folder_that_was_moved_away_by_a_killed_save_is_put_right(tmp_path):
    path = tmp_path / "f"
    left = _left_over(tmp_path / ".f.saving-0123abcd", "new", "old-00000000")
    assert sweep(str(path)) == []
    assert _texts(path) == {"new"}
    assert not left.exists()
    _left_over(tmp_path / ".f.saving-0123abcd", "new", "old-00000000")  # killed just before its end
    _save(path, "newest")
    assert _texts(path) == {"newest"}
    assert os.listdir(tmp_path) == ["f"]


def test_a_file_whose_name_is_that_of_a_part_leaves_nothing(tmp_path):
    for name in ("new", "old-00000000"):
        with pytest.raises(RuntimeError), atomic_file(str(tmp_path / name)):
            raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_concurrent_saves_of_one_folder_all_succeed(tmp_path, exchange):
    path = tmp_path / "f"

    def save(number):
        _save(path, str(number), parts=5)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(save, range(120)))
    assert len(_texts(path)) == 1
    assert len(os.listdir(path)) == 5
    assert os.listdir(tmp_path) == ["f"]


def test_concurrent_saves_of_one_file_all_succeed(tmp_path):
    path = tmp_path / "a"

    def save(number):
        with atomic_file(str(path)) as file:
            for _ in range(100):
                file.write(b"%04d" % number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(save, range(120)))
    content = path.read_bytes()
    assert content == content[:4] * 100
    assert os.listdir(tmp_path) == ["a"]


def test_missing_folders_and_real_errors_are_told(tmp_path, exchange):
    with pytest.raises(FileNotFoundError), atomic_file(str(tmp_path / "no" / "a")):
        pass
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError), atomic_file(str(tmp_path / "d")) as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == ["d"]
