"""The examples run and show what the README says of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_functional_research():
    numbers = runpy.run_path(str(EXAMPLES / "functional_research.py"))["main"]()
    assert numbers["ensemble"] > 0.95
    assert numbers["per_example_gap"] < 1e-6
    assert max(numbers["torch_outputs"], numbers["torch_gradients"], numbers["torch_hvp"]) < 1e-5


@pytest.mark.slow
def test_quickstart(tmp_path, capsys):
    accuracy = runpy.run_path(str(EXAMPLES / "quickstart.py"))["main"](tmp_path)
    text = capsys.readouterr().out
    assert accuracy >= 0.97
    assert "predictions identical: True" in text
    assert {"confusion.png", "digits.keras", "digits.xml", "digits.bin"} <= {p.name for p in tmp_path.iterdir()}
