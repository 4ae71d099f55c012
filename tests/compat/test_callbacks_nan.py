"""`TerminateOnNaN` looks at each batch."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import X, Y, diary, model


@pytest.mark.parametrize("raise_error", [False, True])
def test_terminate_on_nan(raise_error):
    x = X.copy()
    x[9] = np.nan

    def run(api):
        watch, seen = diary(api)
        trained = model(api)
        stop = api.callbacks.TerminateOnNaN(raise_error=raise_error)
        try:
            trained.fit(x, Y, batch_size=4, shuffle=False, epochs=3, verbose=0, callbacks=[stop, watch])
        except RuntimeError:
            seen.append("RuntimeError")
        return seen

    if not raise_error:
        with pytest.warns(UserWarning, match="epoch 1: the loss is nan"):
            theirs, ours = (run(api) for api in (keras, compat))
    else:
        theirs, ours = (run(api) for api in (keras, compat))
    assert ours == theirs


@pytest.mark.parametrize("bad", [5, 50])
@pytest.mark.parametrize("how", ["arrays", "a generator", "eager", "jit and save", "with a bar"])
def test_terminate_on_nan_sees_each_batch(bad, how, tmp_path, capsys):
    """Also where steps run ahead of their callbacks: the model is that after the batch."""
    x = np.ones((256, 3), "float32")
    x[4 * bad] = np.nan
    y = np.zeros((256, 1), "float32")
    trained = model(compat, run_eagerly=how == "eager")
    if how == "jit and save":
        trained.save(tmp_path / "model.keras")
        trained = compat.saving.load_model(tmp_path / "model.keras")
    given = {"x": x, "y": y, "batch_size": 4, "shuffle": False}
    if how == "a generator":
        given = {"x": ((x[i : i + 4], y[i : i + 4]) for i in range(0, 256, 4))}
    stop = compat.callbacks.TerminateOnNaN()
    with pytest.warns(UserWarning, match="the loss is nan"):
        trained.fit(**given, epochs=2, verbose=int(how == "with a bar"), callbacks=[stop])
    assert int(trained.optimizer.iterations) == bad + 1
    assert f"Batch {bad}: the loss is nan" in capsys.readouterr().out


def test_terminate_on_nan_after_an_execution_of_several_steps():
    x = X.copy()
    x[9] = np.nan  # in the fifth batch of two rows, the second execution of three
    trained = model(compat, steps_per_execution=3)
    with pytest.warns(UserWarning, match="the loss is nan"):
        trained.fit(x, Y, batch_size=2, shuffle=False, verbose=0, callbacks=[compat.callbacks.TerminateOnNaN()])
    assert int(trained.optimizer.iterations) == 6
