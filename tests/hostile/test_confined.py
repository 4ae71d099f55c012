"""The confined processes fail what they should fail."""

from __future__ import annotations

import pytest

from tests.hostile import readers
from tests.hostile.confined import accepted, attempt, refused


def test_an_honest_file_is_read(tmp_path):
    readers.small_model().save(tmp_path / "m.keras")
    assert accepted(readers.load_model, tmp_path / "m.keras").text == "Sequential"


@pytest.mark.parametrize("size", [5 << 28, 5 << 30])
def test_memory_is_seen(size):
    with pytest.raises(AssertionError, match=r"bytes|MemoryError"):
        attempt(readers.hoard, size)


def test_time_is_seen():
    with pytest.raises(AssertionError, match=r"1\.\d s"):
        attempt(readers.sleep, 1.5, seconds=1)


def test_the_end_of_the_process_is_seen():
    with pytest.raises(AssertionError, match="ended its process"):
        attempt(readers.leave)


def test_other_errors_and_accepted_files_are_no_refusal(tmp_path):
    readers.small_model().save(tmp_path / "m.keras")
    with pytest.raises(AssertionError, match="accepted"):
        refused(readers.load_model, tmp_path / "m.keras")
    with pytest.raises(AssertionError, match="TypeError"):
        refused(readers.sleep, "x")


def test_a_marker_is_seen(tmp_path):
    (tmp_path / "marker").write_text("")
    with pytest.raises(AssertionError, match="code of the file ran"):
        refused(readers.deserialize, {"class_name": "none", "config": {}}, marker=tmp_path / "marker")
