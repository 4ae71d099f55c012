"""Each class of layers that Keras writes is read from both of its formats, by the name that each format has for it."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import json

import h5py
import keras
import numpy as np
import pytest

import compat
from compat.serialization.listed import LISTED
from compat.serialization.registry import builtin
from tests.layers.catalogue import ROWS

LISTS = {
    "Add", "AdditiveAttention", "Attention", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply",
    "Subtract",
}  # fmt: skip
CELLS = {"GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}  # are written within an RNN
OURS = {"EquinoxLayer", "KfunLayer"}  # Keras has none of the name
REFUSED = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}  # or need registered functions
PARTS = 12  # models, so that a failure is near its layer
_FIRST = "GroupQueryAttention"  # the one that goes by another name than its class has
_PLACES = [row for name, row in ROWS.items() if row.oracle and name not in CELLS | {"Lambda"}]
_PLACES.sort(key=lambda row: row.name != _FIRST)


def _case(row):
    return next((c for c in row.cases if not c.call), row.cases[0])


def _called(layer, inputs):
    return layer(inputs) if type(layer).__name__ in LISTS else layer(*inputs)


def _model(rows):
    """One of Keras's models with a layer of each row on inputs of its own, and values for the inputs."""
    inputs, outputs, values = [], [], []
    for row in rows:
        case = _case(row)
        drawn, _ = case.drawn()
        if row.name == _FIRST:  # Keras takes query and value of one width alone
            drawn = [drawn[0]] * len(drawn)
        own = [keras.Input(batch_shape=v.shape, dtype=str(v.dtype)) for v in drawn]
        outputs += keras.tree.flatten(_called(case.of.keras(), own))
        inputs += own
        values += drawn
    return keras.Model(inputs, outputs), values


@pytest.mark.parametrize("part", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, PARTS))])
def test_all_layers_of_keras_are_read_from_both_formats(part, tmp_path):
    model, values = _model(_PLACES[part::PARTS])
    expected = [np.asarray(v) for v in model(values)]
    for ending in (".keras", ".h5"):
        path = tmp_path / f"m{ending}"
        model.save(path)
        found = compat.models.load_model(path)(values)
        for tensor, one, other in zip(model.outputs, found, expected, strict=True):
            name = tensor._keras_history.operation.name
            np.testing.assert_allclose(np.asarray(one), other, rtol=1e-4, atol=1e-5, err_msg=f"{name} in {ending}")


def test_all_names_of_layers_are_tried():
    tried = {row.name for row in _PLACES} | CELLS | REFUSED | OURS | {"Lambda", "InputLayer", "InputSpec"}
    others = {n for n in LISTED["layers"] if n not in tried}
    aliases = {n for n in others if getattr(compat.layers, n) in {getattr(compat.layers, t, None) for t in tried}}
    assert others == aliases


@pytest.mark.parametrize("space", ["layers", "losses", "metrics", "optimizers", "initializers", "regularizers"])
def test_the_names_of_classes_in_keras_and_those_they_go_by_are_both_known(space):
    """The older format has the class's own name, without a module; aliases are names of one class."""
    for name in LISTED[space]:
        theirs, ours = getattr(getattr(keras, space), name, None), getattr(getattr(compat, space), name)
        if isinstance(theirs, type):
            assert builtin(theirs.__name__, f"keras.{space}") is ours, name
            assert builtin(name, f"keras.{space}") is ours, name


def test_the_older_format_has_the_class_of_keras(tmp_path):
    """So the one that goes by another name is among what is tried."""
    given = keras.Input((4, 6))
    path = tmp_path / "m.h5"
    keras.Model(given, keras.layers.GroupQueryAttention(3, 4, 2)(given, given)).save(path)
    with h5py.File(path) as file:
        names = {layer["class_name"] for layer in json.loads(file.attrs["model_config"])["config"]["layers"]}
    assert "GroupedQueryAttention" in names
