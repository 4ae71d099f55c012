"""The programs in `tests/programs`, each run under Keras on JAX and under compat: the same seed, the same results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.programs.run_all import programs

pytest.importorskip("keras")
HERE = Path(__file__).parent / "programs"
FAST = ("custom_train_step_jax", "weights_and_samples", "callbacks_tour")


def _run(side: str, folder: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    out = folder / f"{side}.npz"
    command = [sys.executable, "-W", "ignore", str(HERE / "run_all.py"), side, str(out), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(out) as found:
        return dict(found)


def _compare(name: str, keras: dict, compat: dict) -> None:
    for side in (keras, compat):
        assert f"{name}/ERROR" not in side, str(side.get(f"{name}/ERROR"))
    keys = {k for k in keras if k.startswith(f"{name}/")}
    assert keys == {k for k in compat if k.startswith(f"{name}/")}
    tolerance = float(keras[f"{name}/TOLERANCE"])
    assert len(keys) > 1
    for key in sorted(keys):
        if keras[key].dtype.kind == "U":
            assert str(keras[key]) == str(compat[key]), key
        else:
            np.testing.assert_allclose(compat[key], keras[key], rtol=10 * tolerance, atol=tolerance, err_msg=key)


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fast")
    return _run("keras", folder, FAST), _run("compat", folder, FAST)


@pytest.fixture(scope="module")
def all_results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    return _run("keras", folder, ()), _run("compat", folder, ())


@pytest.mark.parametrize("name", FAST)
def test_a_few_programs_have_keras_results(name, fast):
    _compare(name, *fast)


@pytest.mark.slow
@pytest.mark.parametrize("name", programs())
def test_programs_have_keras_results(name, all_results):
    _compare(name, *all_results)


def test_there_are_thirty_programs():
    assert len(programs()) >= 30
