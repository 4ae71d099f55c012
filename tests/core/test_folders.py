"""Folders that saves replace while they are read: what is read is of one save."""

from __future__ import annotations

import os
import shutil

import pytest

from kfun import atomic, folders
from kfun.atomic import atomic_folder
from kfun.folders import SteadyFolder, of_one_save, put_right


@pytest.fixture(params=["descriptor", "path"])
def way(request, monkeypatch):
    """Files are opened by the folder's descriptor, or by path, as where there are none of folders."""
    if request.param == "descriptor" and not folders._BY_DESCRIPTOR:
        pytest.skip("the system has no descriptors of folders")
    monkeypatch.setattr(folders, "_BY_DESCRIPTOR", request.param == "descriptor")
    return request.param


def _save(path, text):
    with atomic_folder(str(path)) as folder:
        for i in range(3):
            with open(os.path.join(folder, str(i)), "w", encoding="utf-8") as file:
                file.write(text)


def test_all_files_are_of_one_save(tmp_path, way):
    path, calls = tmp_path / "f", []
    _save(path, "old")

    def read(folder):
        calls.append(folder)
        files = [folder.open("0")]
        if len(calls) == 1:
            _save(path, "new")
        files += [folder.open("1"), folder.open("2")]
        return [file.read() for file in files]

    assert of_one_save(str(path), read) == [b"new"] * 3
    assert len(calls) == 2


def test_what_is_open_is_read_though_it_is_removed(tmp_path):
    path = tmp_path / "f"
    _save(path, "old")
    with SteadyFolder(str(path)) as folder:
        files = [folder.open(str(i)) for i in range(3)]
        assert not folder.is_replaced()
        _save(path, "new")
        assert folder.is_replaced()
        assert [file.read() for file in files] == [b"old"] * 3
    assert all(file.closed for file in files)


def test_what_is_read_by_path_is_read_again(tmp_path, way):
    path, calls = tmp_path / "f", []
    _save(path, "old")

    def read(folder):
        calls.append(folder)
        first = folder.open("0").read()
        folder.by_path = True
        if len(calls) < 4:
            _save(path, f"new {len(calls)}")
        return first, (path / "1").read_bytes()

    assert of_one_save(str(path), read) == (b"new 3", b"new 3")
    assert len(calls) == 4


def test_what_fails_on_parts_of_two_saves_is_read_again(tmp_path, way):
    path, calls = tmp_path / "f", []
    _save(path, "old")

    def read(folder):
        calls.append(folder)
        if len(calls) == 1:
            _save(path, "new")
            raise AssertionError
        return folder.open("0").read()

    assert of_one_save(str(path), read) == b"new"


def test_replaced_for_ever_is_told(tmp_path, way, monkeypatch):
    monkeypatch.setattr(folders, "_TRIES", 5)
    path, calls = tmp_path / "f", []
    _save(path, "old")

    def read(folder):
        calls.append(folder)
        folder.by_path = True
        _save(path, "new")

    with pytest.raises(ValueError, match="replaced 5 times"):
        of_one_save(str(path), read)
    assert len(calls) == 5


def test_true_errors_are_told_at_once(tmp_path, way):
    _save(tmp_path / "f", "x")
    for error in (ValueError, OSError, KeyError, KeyboardInterrupt):
        calls = []

        def read(folder, error=error, calls=calls):
            calls.append(folder)
            raise error("damaged")

        with pytest.raises(error, match="damaged"):
            of_one_save(str(tmp_path / "f"), read)
        assert len(calls) == 1
    with pytest.raises(FileNotFoundError):
        of_one_save(str(tmp_path / "g"), print)


def test_links_folders_and_pipes_are_no_files(tmp_path, way):
    _save(tmp_path / "f", "x")
    (tmp_path / "f" / "link").symlink_to(tmp_path / "f" / "0")
    (tmp_path / "f" / "sub").mkdir()
    others = ["sub", "pipe"] if hasattr(os, "mkfifo") else ["sub"]
    if "pipe" in others:
        os.mkfifo(tmp_path / "f" / "pipe")
    with SteadyFolder(str(tmp_path / "f")) as folder:
        with pytest.raises(ValueError, match="is a link"):
            folder.open("link")
        for name in others:
            with pytest.raises(ValueError, match="is no file"):
                folder.open(name)
        with pytest.raises(FileNotFoundError):
            folder.open("none")


def test_descriptors_are_closed(tmp_path, way):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the system does not list descriptors")
    _save(tmp_path / "f", "x")
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        of_one_save(str(tmp_path / "f"), lambda folder: folder.open("0").read())
    assert os.listdir("/proc/self/fd") == before


def test_put_right(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_system_exchange", lambda: None)
    path, left = tmp_path / "f", tmp_path / ".f.saving-0123abcd"
    _save(tmp_path / "old", "old")
    _save(tmp_path / "new", "new")
    left.mkdir()
    shutil.move(tmp_path / "old", left / "old-00000000")
    shutil.move(tmp_path / "new", left / "new")
    put_right(str(path))
    assert (path / "0").read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]
    left.mkdir()
    put_right(str(path))  # what is there is no reason to look around
    assert left.exists()
    for missing in (tmp_path / "no" / "f", path / "0" / "f", "nul\0/f", "nul\0"):
        put_right(str(missing))
