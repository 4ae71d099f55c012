"""Images are written whole: what fails leaves the old file, and nothing beside it."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from compat.utils import load_img, save_img

_BLACK, _GRAY = np.zeros((8, 8, 3)), np.full((8, 8, 3), 100)


def _level(path):
    return np.unique(np.asarray(load_img(path))).tolist()


_FORMATS = [("a.png", {}), ("a.bmp", {}), ("a", {"file_format": "png"}), ("a.jpg", {"file_format": "bmp"})]


@pytest.mark.parametrize(("name", "options"), _FORMATS)
def test_an_image_replaces_the_former_one(name, options, tmp_path):
    for image, level in ((_BLACK, 0), (_GRAY, 100)):
        save_img(tmp_path / name, image, scale=False, **options)
        assert _level(tmp_path / name) == [level]
    with Image.open(tmp_path / name) as found:
        assert found.format == options.get("file_format", name[-3:]).upper()
    assert os.listdir(tmp_path) == [name]


def test_what_fails_leaves_the_old_image(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_img(path, _GRAY, scale=False)

    def fail(image, file, *_):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setitem(Image.SAVE, "PNG", fail)
    with pytest.raises(OSError, match="disk full"):
        save_img(path, _BLACK, scale=False)
    monkeypatch.undo()
    assert _level(path) == [100]
    with pytest.raises(ValueError, match="unknown file extension"):
        save_img(tmp_path / "a.zzz", _BLACK)
    with pytest.raises(FileNotFoundError):
        save_img(tmp_path / "no" / "a.png", _BLACK)
    assert os.listdir(tmp_path) == ["a.png"]


def test_pages_are_added_to_a_file_that_is_there(tmp_path):
    path = tmp_path / "a.pdf"
    for pages in (1, 2, 3):
        save_img(path, _GRAY, append=pages > 1)
        assert f"/Count {pages}".encode() in path.read_bytes()
