"""The examples run and show what the README says of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def _run(name, *arguments):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*arguments)


def test_functional_research():
    numbers = _run("functional_research")
    assert numbers["ensemble"] > 0.95
    assert numbers["per_example_gap"] < 1e-6
    assert max(numbers["torch_outputs"], numbers["torch_gradients"], numbers["torch_hvp"]) < 1e-5


@pytest.mark.slow
def test_quickstart(tmp_path, capsys):
    accuracy = _run("quickstart", tmp_path)
    text = capsys.readouterr().out
    assert accuracy >= 0.97
    assert "predictions identical: True" in text
    assert {"confusion.png", "digits.keras", "digits.xml", "digits.bin"} <= {p.name for p in tmp_path.iterdir()}


@pytest.mark.slow
def test_neural_ode():
    numbers = _run("neural_ode")
    assert numbers["accuracy"] > 0.95
    assert numbers["accuracy_0.1"] > 0.94
    assert abs(numbers["accuracy_0.0001"] - numbers["accuracy"]) < 0.01
    assert numbers["steps_0.1"] < numbers["steps_0.0001"]


@pytest.mark.slow
def test_bayesian_nn():
    numbers = _run("bayesian_nn")
    assert numbers["rhat"] < 1.05
    assert numbers["bayes_error"] < 0.75 < numbers["point_error"]
    assert 0.84 < numbers["bayes_coverage"] < 0.96
    assert numbers["point_coverage"] < numbers["bayes_coverage"]


@pytest.mark.slow
def test_char_transformer(capsys):
    numbers = _run("char_transformer")
    assert numbers["loss"] < 2.1
    assert numbers["loss"] < numbers["pairs"] - 0.25
    written = capsys.readouterr().out.split("it writes:\n")[1]
    assert written.count(" ") > 15
    assert len(set(written)) > 15


@pytest.mark.slow
def test_vae_digits(tmp_path):
    import matplotlib.image

    numbers = _run("vae_digits", tmp_path)
    assert numbers["bound"] < 122
    assert numbers["pixels"] > 200
    assert 15 < numbers["divergence"] < 30, "the code says nothing, or everything"
    sheet = matplotlib.image.imread(tmp_path / "digits.png")[..., 0]
    assert sheet.shape == (4 * 56, 16 * 56)
    held_out, decoded, *new = 1 - sheet.reshape(4, 56, -1)
    assert abs(held_out - decoded).mean() < 0.06
    ink = held_out.mean()
    assert all(0.7 * ink < row.mean() < 1.3 * ink for row in new), "new digits have as much ink as real ones"


def test_rl_in_one_scan():
    numbers = _run("rl_in_one_scan")
    assert numbers["first"] < 60
    assert numbers["median"] > 450
