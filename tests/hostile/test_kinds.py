"""Where data stand for an initializer, a loss, a layer..., they give one, and nothing of another kind is made."""

from __future__ import annotations

import json

import numpy as np
import pytest

import compat as keras
from compat import layers
from tests.hostile import configs, readers
from tests.hostile.confined import refused

OF_KIND = {
    "layer": layers.Dense(2, name="d"), "initializer": keras.initializers.Ones(),
    "regularizer": keras.regularizers.L2(0.1), "constraint": keras.constraints.NonNeg(),
    "loss": keras.losses.MeanSquaredError(), "metric": keras.metrics.Mean(), "optimizer": keras.optimizers.SGD(),
    "schedule": keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
    "policy": keras.dtype_policies.DTypePolicyMap(),
}  # fmt: skip
SERVES = {"activation": ("layer",), "metric": ("metric", "loss")}  # beside those of the kind itself
HOMES = {
    "activation": keras.activations, "layer": keras.layers, "initializer": keras.initializers,
    "regularizer": keras.regularizers, "constraint": keras.constraints, "loss": keras.losses,
    "metric": keras.metrics, "optimizer": keras.optimizers, "schedule": keras.optimizers.schedules,
    "policy": keras.dtype_policies,
}  # fmt: skip
MSE = {"module": "builtins", "class_name": "function", "config": "mean_squared_error", "registered_name": "function"}
STRANGE = {
    "a generator of seeds": {"module": "keras.random", "class_name": "SeedGenerator", "config": {}},
    "a spec": {"module": "keras.layers", "class_name": "InputSpec", "config": {}},
    "an array": {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}},
    "a tensor": {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}},
    "a tuple": {"class_name": "__tuple__", "items": [], "config": None},
    "a slice": {"class_name": "__slice__", "config": {"start": 0, "stop": 1, "step": None}},
    "names alone": {"a": 1}, "a list": [1], "a number": 5,
}  # fmt: skip


def data_of(value):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(value)))


@pytest.mark.parametrize("described", OF_KIND)
@pytest.mark.parametrize("expected", HOMES)
def test_data_give_an_object_of_the_kind_or_say_which_they_describe(expected, described):
    home, data = HOMES[expected], data_of(OF_KIND[described])
    readings = [getattr(home, n) for n in ("deserialize", "get") if hasattr(home, n)]
    for read in readings:
        if described in SERVES.get(expected, (expected,)):
            assert isinstance(read(data), (type(OF_KIND[described]), keras.metrics.Metric))
        else:
            with pytest.raises(ValueError, match="the data describe") as caught:
                read(data)
            assert f"a {described}"[2:] in str(caught.value), "it says which kind was described"
            assert f"expected {'an' if expected[0] in 'aio' else 'a'} " in str(caught.value)


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("expected", HOMES)
def test_what_is_of_no_kind_is_refused(expected, what):
    home = HOMES[expected]
    for read in (getattr(home, n) for n in ("deserialize", "get") if hasattr(home, n)):
        if expected == "policy" and what == "names alone":
            continue  # a policy's config without its class is Keras's older form
        with pytest.raises((ValueError, TypeError), match=r"expected|neither"):
            read(STRANGE[what])


@pytest.mark.parametrize("expected", HOMES)
def test_a_function_of_ours_serves_only_where_its_arguments_fit(expected):
    relu = MSE | {"config": "relu"}
    takes = {"activation": [relu], "regularizer": [relu], "constraint": [relu], "loss": [MSE], "metric": [MSE]}
    for data in (relu, MSE):
        if data in takes.get(expected, ()):
            assert callable(HOMES[expected].deserialize(data))
        else:
            with pytest.raises(ValueError, match=f"describe the function '{data['config']}'|not registered"):
                HOMES[expected].deserialize(data)


@keras.saving.register_keras_serializable("kinds")
class Own:
    """A class of the user's that derives from nothing, as Keras takes it for all that is called."""

    def __call__(self, *args, **kwargs):
        return args[0]

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable("kinds")
class Evil(layers.Layer):
    """A registered layer that says when it is made."""

    made = 0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        Evil.made += 1


@keras.saving.register_keras_serializable("kinds")
def own_function(*args, **kwargs):
    return args[0]


CALLED = ("activation", "initializer", "regularizer", "constraint", "loss", "metric", "schedule")


@pytest.mark.parametrize("expected", CALLED)
def test_what_a_user_registered_serves_wherever_it_is_called(expected):
    assert isinstance(HOMES[expected].deserialize(data_of(Own())), Own)
    assert HOMES[expected].deserialize(data_of(own_function)) is own_function
    handed = {"module": "m", "class_name": "Handed", "config": {}, "registered_name": "Handed"}
    assert isinstance(HOMES[expected].deserialize(handed, custom_objects={"Handed": Own}), Own)


@pytest.mark.parametrize("expected", [k for k in HOMES if k not in (*CALLED, "layer")])
def test_what_is_not_called_must_derive_from_its_base(expected):
    for data in (data_of(Own()), data_of(own_function)):
        with pytest.raises(ValueError, match="expected"):
            HOMES[expected].deserialize(data)


@pytest.mark.parametrize("kind", ["initializer", "regularizer", "constraint", "loss", "metric"])
def test_a_registered_class_of_another_kind_is_not_made(kind):
    before = Evil.made
    for data in ("kinds>Evil", {"module": "m", "class_name": "Evil", "config": {}, "registered_name": "kinds>Evil"}):
        with pytest.raises(ValueError, match="'Evil', a layer; expected"):
            HOMES[kind].get(data)
    assert Evil.made == before


ARGUMENTS = [
    (layers.Dense(2, name="x"), "kernel_initializer", "layer"),
    (layers.Dense(2, name="x"), "kernel_regularizer", "loss"),
    (layers.Dense(2, name="x"), "activity_regularizer", "optimizer"),
    (layers.Dense(2, name="x"), "bias_constraint", "metric"),
    (layers.Dense(2, name="x"), "activation", "loss"),
    (layers.Dense(2, name="x"), "dtype", "layer"),
    (layers.LSTM(2, name="x"), "recurrent_initializer", "layer"),
    (layers.MultiHeadAttention(1, 2, name="x"), "kernel_initializer", "layer"),
    (layers.TimeDistributed(layers.Dense(2), name="x"), "layer", "initializer"),
    (layers.Bidirectional(layers.LSTM(2), name="x"), "layer", "loss"),
    (layers.RNN(layers.LSTMCell(2), name="x"), "cell", "metric"),
    (layers.RNN([layers.LSTMCell(2)] * 2, name="x"), "cell", "constraint"),
    (layers.Activation("relu", name="x"), "activation", "metric"),
]


@pytest.mark.parametrize(
    ("layer", "argument", "described"), ARGUMENTS, ids=[f"{type(a).__name__}-{b}-{c}" for a, b, c in ARGUMENTS]
)
def test_a_layers_config_is_refused_with_the_place(layer, argument, described):
    data = data_of(layer)
    data["config"][argument] = data_of(OF_KIND[described])
    with pytest.raises(ValueError, match=r"expected an? ") as caught:
        keras.saving.deserialize_keras_object(data)
    assert f"in {argument!r} of the {type(layer).__name__} 'x'" in caught.value.__notes__


def test_the_place_is_named_through_all_that_is_around():
    data = data_of(layers.Bidirectional(layers.LSTM(2, name="inner"), name="outer"))
    data["config"]["layer"]["config"]["kernel_initializer"] = data_of(OF_KIND["layer"])
    with pytest.raises(ValueError, match="'Dense', a layer; expected an initializer") as caught:
        keras.saving.deserialize_keras_object(data)
    assert caught.value.__notes__[:2] == [
        "in 'kernel_initializer' of the LSTM 'forward_inner'", "in 'layer' of the Bidirectional 'outer'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "described"), [("optimizer", "loss"), ("loss", "layer"), ("metrics", "optimizer"), ("loss", "metric")]
)
def test_what_a_file_compiles_with_is_of_its_kind(argument, described):
    config = configs.config_of(configs.compiled("mae"))
    bad = data_of(OF_KIND[described])
    for value in (bad, [bad], {"dense": bad}):
        config["compile_config"][argument] = value
        with pytest.raises(ValueError, match=r"expected an? "):
            keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize("argument", ["learning_rate", "inner_optimizer", "optimizer_map"])
def test_what_an_optimizer_holds_is_of_its_kind(argument):
    given = {
        "learning_rate": keras.optimizers.Adam(),
        "inner_optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        "optimizer_map": keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(keras.optimizers.Adam())),
    }
    data = data_of(given[argument])
    data["config"][argument] = data_of(OF_KIND["layer"])
    with pytest.raises(ValueError, match="'Dense', a layer; expected"):
        keras.optimizers.deserialize(data)


@pytest.mark.parametrize("form", configs.FORMATS)
def test_a_file_with_a_layer_for_an_initializer_is_refused(form, tmp_path):
    model = configs.functional(layers.Dense(2, name="d"))
    config = configs.config_of(model)
    configs.entry(config, "Dense")["config"]["kernel_initializer"] = data_of(layers.Dense(3))
    refused(readers.load_model, configs.write(model, config, tmp_path, form), match="expected an initializer")


def test_a_file_that_holds_no_model_is_refused(tmp_path):
    path = configs.write(configs.sequential(), data_of(layers.Dense(3)), tmp_path)
    refused(readers.load_model, path, match="not a model")


def test_data_without_a_module_mean_the_kind_that_is_expected():
    """Keras 2 names no modules, and some names are those of objects of several kinds."""
    assert isinstance(keras.metrics.get({"class_name": "MeanSquaredError", "config": {}}), keras.metrics.Metric)
    assert isinstance(keras.losses.get({"class_name": "MeanSquaredError", "config": {}}), keras.losses.Loss)
    made = keras.initializers.get({"class_name": "Identity", "config": {"gain": 2.0}})
    np.testing.assert_array_equal(made((2, 2)), 2 * np.eye(2))


@pytest.mark.parametrize(("kind", "name"), [
    ("activation", "relu"), ("initializer", "zeros"), ("regularizer", "l2"), ("constraint", "non_neg"),
    ("loss", "mse"), ("metric", "MeanSquaredError"), ("optimizer", "adam"), ("policy", "float32"),
])  # fmt: skip
def test_a_name_is_read_as_get_reads_it(kind, name):
    assert type(HOMES[kind].deserialize(name)) is type(HOMES[kind].get(name))
    assert not isinstance(HOMES[kind].deserialize(name), str)
