"""`History` as numbers, a table and a picture; models in notebooks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import compat
from tests.compat.callback_tools import X, Y, model


@pytest.fixture(scope="module")
def history():
    return model(compat).fit(X, Y, epochs=5, verbose=0, validation_data=(X, Y), validation_freq=2)


def test_to_pandas(history):
    pytest.importorskip("pandas")
    table = history.to_pandas()
    assert list(table.columns) == ["loss", "mae", "val_loss", "val_mae"]
    assert list(table.index) == [0, 1, 2, 3, 4]
    assert table["loss"].tolist() == history.history["loss"]
    assert table["val_loss"].isna().tolist() == [True, False, True, False, True]
    assert table["val_loss"].dropna().tolist() == history.history["val_loss"]


def test_a_history_that_somebody_filled_by_hand():
    pytest.importorskip("pandas")
    made = compat.callbacks.History()
    made.history = {"loss": [3.0, 2.0]}
    assert made.curve("loss") == ([0, 1], [3.0, 2.0])
    assert made.to_pandas()["loss"].tolist() == [3.0, 2.0]
    assert "2 (2)" in made._repr_html_()


def test_plot(history, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "history.png"
    figure = history.plot(path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    panels = [p for p in figure.axes if p.get_visible()]
    assert [p.get_title() for p in panels] == ["loss", "mae"]
    training, validation = panels[0].get_lines()
    np.testing.assert_allclose(training.get_ydata(), history.history["loss"])
    np.testing.assert_allclose(validation.get_xdata(), [2, 4])
    assert [p.get_title() for p in history.plot(metrics="mae", log_scale=True).axes] == ["mae"]
    with pytest.raises(KeyError, match="did you mean 'loss'"):
        history.plot(metrics=["los"])
    with pytest.raises(ValueError, match="no metrics"):
        compat.callbacks.History().plot()


def test_history_shows_itself(history):
    text = history._repr_html_()
    assert "5 epochs" in text
    assert text.count("<svg") == 4
    assert f"{history.history['loss'][-1]:.4g}" in text
    broken = compat.callbacks.History()
    broken.on_epoch_end(0, {"<b>": float("nan"), "matrix": np.ones((2, 2))})
    assert "&lt;b&gt;" in broken._repr_html_()


def test_models_show_themselves():
    text = model(compat)._repr_html_()
    assert "4 parameters, 4 of them trainable" in text
    assert ">d<" in text
    assert "(None, 1)" in text
    unbuilt = compat.Sequential([compat.layers.Dense(2)], name="<x>")._repr_html_()
    assert "not built" in unbuilt
    assert "<x>" not in unbuilt
    deep = compat.Sequential([compat.Input((2,)), *[compat.layers.Activation("relu") for _ in range(100)]])
    assert "40 more layers" in deep._repr_html_()


def test_importing_callbacks_loads_nothing_heavy():
    heavy = {
        "matplotlib",
        "pandas",
        "tensorboard",
        "orbax",
        "requests",
        "mlflow",
        "wandb",
        "tensorflow",
        "PIL",
        "absl.logging",
    }
    script = "import sys, compat; compat.callbacks.History; compat.config; print(sorted(set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    loaded = set(done.stdout.replace("'", "").strip("[]\n").split(", "))
    known = subprocess.run([sys.executable, "-c", "import sys, jax, optax; print(sorted(set(sys.modules)))"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert not heavy & loaded - set(known.stdout.replace("'", "").strip("[]\n").split(", ")), done.stderr
