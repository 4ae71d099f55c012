"""Whatever is wrong with a config is a ValueError that says where."""

from __future__ import annotations

import json

import pytest

from compat import layers
from tests.hostile import configs, readers
from tests.hostile.confined import refused


def _nested(n, inner):
    for _ in range(n):
        inner = [inner]
    return inner


def _first(config):
    return config["config"]["layers"][1]


CHANGES = {
    "no name": lambda c: _first(c).pop("name"),
    "a name that is a number": lambda c: _first(c).update(name=3),
    "two layers of one name": lambda c: c["config"]["layers"].append(_first(c)),
    "no nodes": lambda c: _first(c).pop("inbound_nodes"),
    "nodes that are a number": lambda c: _first(c).update(inbound_nodes=5),
    "nodes that are null": lambda c: _first(c).update(inbound_nodes=[None]),
    "a node without arguments": lambda c: _first(c).update(inbound_nodes=[{}]),
    "a call of itself": lambda c: configs.entry(_first(c), "__keras_tensor__")["config"].update(
        keras_history=["d", 0, 0]
    ),
    "a call of a layer that is missing": lambda c: configs.entry(_first(c), "__keras_tensor__")["config"].update(
        keras_history=["gone", 0, 0]
    ),
    "a place that is no place": lambda c: configs.entry(_first(c), "__keras_tensor__")["config"].update(
        keras_history=[["d"], {}, 0]
    ),
    "a place of two": lambda c: configs.entry(_first(c), "__keras_tensor__")["config"].update(keras_history=["x", 0]),
    "an output of a negative number": lambda c: configs.entry(_first(c), "__keras_tensor__")["config"].update(
        keras_history=["x", 0, -1]
    ),
    "an input that is called": lambda c: c["config"]["layers"][0].update(inbound_nodes=_first(c)["inbound_nodes"]),
    "no layers": lambda c: c["config"].pop("layers"),
    "layers that are a text": lambda c: c["config"].update(layers="abc"),
    "layers that are null": lambda c: c["config"].update(layers=[None]),
    "no outputs": lambda c: c["config"].pop("output_layers"),
    "outputs that are null": lambda c: c["config"].update(output_layers=None),
    "outputs that are nested": lambda c: c["config"].update(output_layers=_nested(200, None)),
    "a class name that is a list": lambda c: _first(c).update(class_name=["Dense"]),
    "a class name that is null": lambda c: _first(c).update(class_name=None),
    "a module that is a number": lambda c: _first(c).update(module=5),
    "a registered name that is a dict": lambda c: _first(c).update(registered_name={}),
    "a config that is a list": lambda c: _first(c).update(config=[1, 2]),
    "a config that is a text": lambda c: _first(c).update(config="abc"),
    "units that are a text": lambda c: _first(c)["config"].update(units="many"),
    "units that are negative": lambda c: _first(c)["config"].update(units=-4),
    "units that are null": lambda c: _first(c)["config"].update(units=None),
    "units without end": lambda c: _first(c)["config"].update(units=10**40),
    "an activation that is a list": lambda c: _first(c)["config"].update(activation=[1]),
    "an activation that is a number": lambda c: _first(c)["config"].update(activation=7),
    "a dtype that is none": lambda c: _first(c)["config"].update(dtype="float99"),
    "a shape that is a text": lambda c: _first(c).update(build_config={"input_shape": "abc"}),
    "a shape of texts": lambda c: _first(c).update(build_config={"input_shape": ["a", "b"]}),
    "a shape that is negative": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, -3]),
    "a shape without end": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**30]),
    "a shape of many axes": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None] + [1] * 5000),
    "a slice of nothing": lambda c: _first(c)["config"].update(units={"class_name": "__slice__", "config": {}}),
    "bytes of nothing": lambda c: _first(c)["config"].update(units={"class_name": "__bytes__", "config": None}),
    "an unknown argument": lambda c: _first(c)["config"].update(surprise=1),
    "an optimizer that is a layer": lambda c: c["compile_config"].update(optimizer=_first(c) | {"build_config": None}),
    "an optimizer that is a number": lambda c: c["compile_config"].update(optimizer=5),
    "a loss that is a number": lambda c: c["compile_config"].update(loss=5),
    "a rate that is a text": lambda c: c["compile_config"]["optimizer"]["config"].update(learning_rate="fast"),
    "an unknown argument of compile": lambda c: c["compile_config"].update(surprise=1),
    "a compile config that is a list": lambda c: c.update(compile_config=[1]),
    "deep lists": lambda c: _first(c)["config"].update(units=_nested(700, 1)),
}


def _config(change):
    model = configs.functional(layers.Dense(2, name="d"))
    model.compile("sgd", "mse")
    config = configs.config_of(model)
    change(config)
    return model, config


@pytest.mark.parametrize("name", CHANGES)
def test_damage_is_a_value_error(name, tmp_path):
    model, config = _config(CHANGES[name])
    refused(readers.load_model, configs.write(model, config, tmp_path))


@pytest.mark.parametrize("text", ["", "null", "[]", "5", '"x"', "{", '{"a": NaN', "[" * 100000, '{"class_name": 1}'])
@pytest.mark.parametrize("form", configs.FORMATS)
def test_texts_that_are_no_config(text, form, tmp_path):
    refused(readers.load_model, configs.write(configs.sequential(), text, tmp_path, form))


def test_the_error_names_the_layer(tmp_path):
    model, config = _config(lambda c: _first(c)["config"].update(units="many"))
    found = refused(readers.load_model, configs.write(model, config, tmp_path))
    assert "'d'" in found.text or "'d'" in found.trace


def test_a_text_of_many_small_things(tmp_path):
    """Empty lists cost twenty times the bytes that they are written in."""
    text = json.dumps({"class_name": "Sequential", "config": {"layers": []}})[:-2] + ', "x": [' + "[]," * 8_000_000
    refused(readers.load_model, configs.write(configs.sequential(), text + "[]]}}", tmp_path))
