"""No code runs because a file says so: classes that are called, functions of the user's, models of other libraries."""

from __future__ import annotations

import json

import numpy as np
import pytest

import compat as keras
import kfun
from compat import layers
from compat.serialization.listed import LISTED
from kfun import checkpoints
from tests.hostile import configs, readers
from tests.hostile.confined import accepted, refused

TOUCH = {"module": "builtins", "class_name": "function", "config": "readers>touch", "registered_name": "function"}
BARE = {
    "a class of ours": {"module": "keras.layers", "class_name": "TFSMLayer", "config": None},
    "a loss": {"module": "keras.losses", "class_name": "MeanSquaredError", "config": None},
    "a class of the user's": {"module": "user", "class_name": "Touching", "registered_name": "readers>Touching",
                              "config": None},
    "a function as a class": {"module": "user", "class_name": "readers>touch", "config": None},
    "a function as a class with a config": {"module": "user", "class_name": "touch", "registered_name": "readers>touch",
                                            "config": {"path": "marker"}},
    "a class as a function": TOUCH | {"config": "readers>Touching"},
    "a class as a function by its short name": TOUCH | {"config": "Touching"},
}  # fmt: skip
NO_LAYERS = BARE | {
    "a function": TOUCH,
    "a loss's object": {"module": "keras.losses", "class_name": "MeanSquaredError", "config": {}},
    "an array": {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}},
}


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """The file that code of a hostile file would make."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "marker"


@pytest.mark.parametrize("form", configs.FORMATS)
@pytest.mark.parametrize("kind", NO_LAYERS)
def test_what_stands_for_a_layer_is_a_layer(kind, form, marker, tmp_path):
    model = configs.functional(layers.Dense(2, name="d"))
    config = configs.config_of(model)
    place = config["config"]["layers"][1]
    nodes = [{"args": [str(marker), place["inbound_nodes"][0]["args"][0]], "kwargs": {}}]
    config["config"]["layers"][1] = NO_LAYERS[kind] | {"name": "d", "inbound_nodes": nodes}
    refused(readers.load_model, configs.write(model, config, tmp_path, form), marker=marker)


@pytest.mark.parametrize("kind", NO_LAYERS)
def test_what_stands_in_a_sequential_is_a_layer(kind, marker, tmp_path):
    config = configs.config_of(configs.sequential())
    config["config"]["layers"][1] = NO_LAYERS[kind]
    refused(readers.load_model, configs.write(configs.sequential(), config, tmp_path), marker=marker)


@pytest.mark.parametrize("kind", BARE)
@pytest.mark.parametrize(("layer", "field"), [
    ("Dense", "activation"), ("Dense", "kernel_initializer"), ("Lambda", "output_shape"), ("Lambda", "function"),
    ("TimeDistributed", "layer"), ("Bidirectional", "layer"), ("RNN", "cell"),
])  # fmt: skip
def test_a_value_is_no_bare_class(kind, layer, field, marker):
    inner = {"TimeDistributed": layers.Dense(2), "Bidirectional": layers.LSTM(2), "RNN": layers.SimpleRNNCell(2)}
    given = {"Dense": (2,), "Lambda": (keras.activations.relu,)}.get(layer) or (inner[layer],)
    config = configs.config_of(getattr(layers, layer)(*given))
    config["config"][field] = BARE[kind]
    with pytest.raises((ValueError, TypeError)):
        keras.saving.deserialize_keras_object(config)
    assert not marker.exists()


@pytest.mark.parametrize("kind", [*BARE, "a function"])
def test_branches_are_functions_and_wait(kind, marker, tmp_path):
    """A branch of `switch` without a symbolic input would be run while the file is read."""
    model = configs.functional(layers.Dense(4, name="d"))
    config = configs.config_of(model)
    node = {"args": [0, [NO_LAYERS[kind]], str(marker)], "kwargs": {}}
    config["config"]["layers"].append({
        "module": "keras.src.ops.core", "class_name": "Switch", "registered_name": "Switch", "name": "s",
        "config": {"name": "s"}, "inbound_nodes": [node],
    })  # fmt: skip
    config["config"]["output_layers"] = [["s", 0, 0]]
    refused(readers.load_model, configs.write(model, config, tmp_path), marker=marker)


@pytest.mark.parametrize(
    "name", ["Any", "Variable", "_Generated", "_Recurrent", "Layer", "Wrapper", "Part", "ops", "np"]
)
@pytest.mark.parametrize("module", ["keras.layers", "keras", "", "keras.src.layers.layer", "compat.layers"])
def test_private_names_do_not_exist_for_a_file(name, module):
    with pytest.raises(ValueError, match="not registered"):
        keras.saving.deserialize_keras_object({"module": module, "class_name": name, "config": {}})


def test_the_listed_names_are_public_classes():
    """Those that Keras has, and four of ours; what is abstract in Keras is not among them."""
    ours = {"KfunLayer", "EquinoxLayer", "LossFunctionWrapper", "Functional", "GroupQueryAttention"}
    for module, names in LISTED.items():
        home = keras if module == "models" else getattr(keras, module.partition(".")[0])
        home = home.schedules if module == "optimizers.schedules" else home
        assert len(set(names)) == len(names)
        for name in names:
            assert isinstance(getattr(home, name), type) or getattr(home, name).__class__ is type, name
            assert not name.startswith("_")
            assert name in ours or _of_keras(module, name), (module, name)


def _of_keras(module, name):
    import keras as real

    home = real
    for part in module.split("."):
        home = getattr(home, part)
    return isinstance(getattr(home, name), type)


@pytest.mark.parametrize("data", [
    {"module": "keras.layers", "class_name": "Dense", "registered_name": "readers>Touching"},
    {"module": "user", "class_name": "Innocent", "registered_name": "readers>Touching"},
])  # fmt: skip
def test_the_registered_name_is_that_of_the_class(data, marker):
    refused(
        readers.deserialize, data | {"config": {"units": 2, "path": str(marker)}}, match="contradict", marker=marker
    )


def test_a_registered_name_of_ones_own_still_finds_the_class():
    @keras.saving.register_keras_serializable("other", name="Renamed")
    class Layer2(layers.Layer):
        pass

    for class_name in ("Layer2", "Renamed", "other>Renamed"):
        data = {"module": "m", "class_name": class_name, "registered_name": "other>Renamed", "config": {}}
        assert isinstance(keras.saving.deserialize_keras_object(data), Layer2)


def _saved_model_layer():
    return {"class_name": "kfun.bridges>FromSavedModel", "config": {
        "name": None, "policy": None, "filepath": "/nowhere", "call_endpoint": "serve", "call_training_endpoint": None,
    }}  # fmt: skip


@pytest.mark.parametrize("depth", [0, 1])
def test_definitions_that_run_foreign_code_are_not_made(depth, tmp_path):
    definition = _saved_model_layer()
    if depth:
        definition = kfun.Sequential([kfun.layers.Dense(2)]).to_config()
        definition["config"]["layers"][0] = _saved_model_layer()
    layer = {"module": "keras.layers", "class_name": "KfunLayer", "registered_name": None,
             "config": {"name": "k", "definition": definition}}  # fmt: skip
    config = configs.config_of(configs.sequential())
    config["config"]["layers"][1] = layer
    path = configs.write(configs.sequential(), config, tmp_path)
    refused(readers.load_model, path, match="SavedModel")
    checkpoints.save(tmp_path / "c", {"w": np.ones(3, "float32")})
    index = json.loads((tmp_path / "c" / "checkpoint.json").read_text())
    (tmp_path / "c" / "checkpoint.json").write_text(json.dumps(index | {"definition": definition}))
    refused(readers.load_definition, tmp_path / "c", match="SavedModel")


def test_every_bridge_says_no():
    from kfun.bridges.equinox import FromEquinox
    from kfun.bridges.flax import FromLinen, FromNnx
    from kfun.bridges.saved_model import FromSavedModel
    from kfun.bridges.torch import FromTorch

    for cls in (FromEquinox, FromLinen, FromNnx, FromSavedModel, FromTorch):
        assert isinstance(cls.loadable, str)
        with pytest.raises(ValueError, match="cannot make one"):
            kfun.from_config({"class_name": f"kfun.bridges>{cls.__name__}", "config": {}})


def test_the_caller_hands_in_what_no_file_makes(tmp_path):
    import torch

    module = torch.nn.Linear(3, 2)
    layer = layers.TorchModuleWrapper(module, name="t")
    model = configs.sequential()
    config = configs.config_of(model)
    config["config"]["layers"][1] = {
        "module": "keras.layers", "class_name": "TorchModuleWrapper", "registered_name": None, "config": {"name": "t"},
    }  # fmt: skip
    config["config"]["layers"] = config["config"]["layers"][1:]
    with pytest.raises(ValueError, match=r"custom_objects=\{'t': layer\}"):
        keras.saving.deserialize_keras_object(config)
    found = keras.saving.deserialize_keras_object(config, custom_objects={"t": layer})
    assert found.layers == [layer]
    handed = kfun.from_torch(module)
    named = {"class_name": "kfun.bridges>FromTorch", "config": {}}
    assert kfun.from_config(named, {"kfun.bridges>FromTorch": handed}) is handed


def test_a_graph_of_steps_without_a_value_of_the_graph(tmp_path):
    x = kfun.Input((8,))
    definition = json.loads(json.dumps(kfun.Graph.of(x, kfun.ops.relu(x)).to_config()))
    step = definition["config"]["steps"][0]["config"]
    step |= {"target": "full", "args": [[30000, 30000], 1.0]}
    layer = {"module": "keras.layers", "class_name": "KfunLayer", "config": {"definition": definition}}
    refused(readers.deserialize, layer, match="values of the graph")


def test_a_function_belongs_where_functions_are(marker):
    """A registered function is found as an activation, and is not called for it."""
    config = configs.config_of(layers.Dense(2, activation="relu"))
    config["config"]["activation"] = TOUCH
    accepted(readers.deserialize, config)
    assert not marker.exists()
