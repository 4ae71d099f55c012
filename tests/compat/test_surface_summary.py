"""`summary` prints Keras's table, letter by letter."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import pytest

import compat
from tests.compat.drawn_models import MODELS, nested, stack, subclassed

OPTIONS = {
    "plain": {},
    "expanded": {"expand_nested": True, "show_trainable": True},
    "narrow": {"line_length": 60},
    "positions": {"line_length": 90, "positions": [0.3, 0.6, 0.8, 1.0]},
}


def _text(model, **options):
    found = []
    model.summary(print_fn=found.append, **options)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("columns", ["100", "70", "200"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", MODELS)
def test_the_table_is_the_one_of_keras(name, options, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    keras.utils.clear_session()
    compat.utils.clear_session()
    ours, theirs = (_text(MODELS[name](api), **OPTIONS[options]) for api in (compat, keras))
    assert ours == theirs


@pytest.mark.parametrize("names", [["conv", "flat"], ["conv", "^p.*"], ["flat", "conv"]], ids="-".join)
def test_a_range_of_layers(names):
    ours, theirs = (_text(stack(api), layer_range=names) for api in (compat, keras))
    assert ours == theirs


def test_a_range_that_names_nothing():
    with pytest.raises(ValueError, match=r"\['none', 'flat'\] names no layers; the model has \['conv', 'pool'"):
        stack(compat).summary(layer_range=["none", "flat"])


def test_positions_that_are_too_few():
    with pytest.raises(ValueError, match="expected 3 rising positions"):
        stack(compat).summary(positions=[0.5, 1.0])


def test_it_prints_to_standard_output(capsys):
    nested(compat).summary(expand_nested=True)
    assert "└ one (Dense)" in capsys.readouterr().out


def test_names_are_shown_as_they_are():
    model = subclassed(compat)
    model.drop = compat.layers.Dropout(0.5, name="drop")
    assert "drop (Dropout)" in _text(model)
    assert "[bold]" in _text(compat.Sequential([compat.Input((2,))], name="[bold]"))
