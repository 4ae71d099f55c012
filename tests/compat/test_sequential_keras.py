"""Sequential models that grow, shrink and meet other sizes; inputs made of tensors; copies; as in real Keras."""

import numpy as np
import pytest

import compat as keras

real = pytest.importorskip("keras")
BOTH = pytest.mark.parametrize("api", [keras, real], ids=["ours", "theirs"])


def ones(*shape):
    return np.ones(shape, "float32")


@BOTH
def test_a_stack_takes_other_sizes_where_its_layers_do(api):
    model = api.Sequential([api.Input((8, 8, 1)), api.layers.Conv2D(4, 3), api.layers.GlobalAveragePooling2D()])
    assert model(ones(2, 9, 10, 1)).shape == (2, 4)
    assert model.predict(ones(2, 6, 6, 1), verbose=0).shape == (2, 4)
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(ones(2, 7, 7, 1), ones(2, 4), verbose=0).history["loss"][0])
    outer = api.Input((6, 7, 1))
    assert api.Sequential(model.layers[:1])(outer).shape == (None, 4, 5, 4)
    with pytest.raises(ValueError, match="shape"):
        model(ones(2, 9, 10, 1, 2))
    with pytest.raises(ValueError, match=r"channels|incompatible|axis"):
        model(ones(2, 9, 10, 2))


@BOTH
def test_a_graph_takes_the_sizes_that_it_was_made_for(api):
    inputs = api.Input((4, 3))
    with pytest.raises(ValueError, match="7, 3"):
        api.Model(inputs, api.layers.Flatten()(inputs))(ones(2, 7, 3))


@BOTH
def test_batches_of_several_sizes(api):
    def batches():
        for steps in (12, 20):
            yield ones(1, steps, 2), np.zeros((1, steps // 4, 8), "float32")

    model = api.Sequential([api.layers.Reshape((-1, 8))])
    model.compile(loss="mse")
    assert model.fit(batches(), steps_per_epoch=2, shuffle=False, verbose=0).history["loss"] == [1.0]


@BOTH
def test_layers_come_and_go_after_the_build(api):
    model = api.Sequential([api.layers.Dense(4), api.layers.Dense(5)])
    model(ones(3, 2))
    model.pop()
    assert (model.built, len(model.weights), model(ones(3, 2)).shape) == (True, 2, (3, 4))
    model.add(api.layers.Dense(7))
    assert (model.built, len(model.weights), model.output_shape[-1]) == (True, 4, 7)
    config = model.get_config()
    assert [layer["class_name"] for layer in config["layers"]] == ["InputLayer", "Dense", "Dense"]
    assert api.Sequential.from_config(config).output_shape[-1] == 7
    assert len(model.layers) == 2


@BOTH
def test_a_stack_without_layers_or_of_another_shape(api):
    with pytest.raises(ValueError, match="no layers"):
        api.Sequential().build((None, 3))
    with pytest.raises(ValueError, match="no layers"):
        api.Sequential()(ones(1, 3))
    model = api.Sequential([api.layers.Dense(4)])
    model.build((None, 3))
    model.build((None, 3))
    with pytest.raises(ValueError, match=r"\(None, 5\)"):
        model.build((None, 5))


@BOTH
def test_an_input_made_of_a_tensor(api):
    tensor = api.KerasTensor((2, 3), "int32")
    layer = api.layers.InputLayer(input_tensor=tensor)
    assert (layer.output is tensor, layer.batch_shape, layer.dtype, layer.sparse) == (True, (2, 3), "int32", False)
    model = api.Model(tensor, tensor * 2)
    np.testing.assert_array_equal(model(np.ones((2, 3), "int32")), 2 * np.ones((2, 3)))
    for arguments in ({"shape": (4,)}, {"batch_size": 5}, {"batch_shape": (2, 4)}, {"dtype": "float32"}):
        with pytest.raises(ValueError, match="tensor"):
            api.layers.InputLayer(input_tensor=tensor, **arguments)
    with pytest.raises(ValueError, match="tensor"):
        api.layers.InputLayer(input_tensor=ones(2, 3))
    with pytest.raises(ValueError, match="batch_shape"):
        api.layers.InputLayer(batch_size=4, batch_shape=(2, 3))
    with pytest.warns(UserWarning, match="input_shape"):
        assert api.layers.InputLayer(input_shape=(3,)).batch_shape == (None, 3)


@BOTH
def test_symbolic_tensors_are_found_in_lists(api):
    first, second = api.Input((2,)), api.Input((2,))
    assert second in [first, second]
    assert first not in [second]
    assert [first, second].index(second) == 1
    with pytest.raises(TypeError):
        bool(first < second)


@BOTH
def test_the_inputs_of_a_copy_have_the_models_structure(api):
    a, b = api.Input((2,), name="a"), api.Input((2,), name="b")
    model = api.Model({"a": a, "b": b}, a - b)
    given = {"b": api.Input((2,), name="b"), "a": api.Input((2,), name="a")}
    copy = api.models.clone_model(model, input_tensors=given)
    np.testing.assert_array_equal(copy({"a": ones(1, 2), "b": 3 * ones(1, 2)}), -2 * ones(1, 2))
    for wrong in ([a, b], {"a": a, "c": b}):
        with pytest.raises(ValueError, match="structure"):
            api.models.clone_model(model, input_tensors=wrong)


def _old(*calls):
    """A functional config in Keras 2's form: a Dense layer for each `(name, name of the layer before)`."""
    first = {"class_name": "InputLayer", "name": "in", "inbound_nodes": [],
             "config": {"batch_input_shape": [None, 10], "dtype": "float32", "name": "in"}}  # fmt: skip
    dense = [
        {"class_name": "Dense", "name": name, "config": {"units": 3, "name": name},
         "inbound_nodes": [[[before, 0, 0, {}]]]}
        for name, before in calls
    ]  # fmt: skip
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[calls[-1][0], 0, 0]]}
    return {"name": "old", "layers": [first, *dense], **ends}


@BOTH
def test_configs_of_keras_2(api):
    model = api.models.Model.from_config(_old(("one", "in"), ("two", "one")))
    assert [layer.name for layer in model.layers] == ["in", "one", "two"]
    assert model.predict(ones(1, 10), verbose=0).shape == (1, 3)
    for calls in ([("one", "two"), ("two", "one")], [("one", "missing")]):
        with pytest.raises(ValueError, match=r"connected|loop|missing"):
            api.models.Model.from_config(_old(*calls))


@BOTH
def test_output_shapes_of_attention_are_sizes(api):
    with pytest.raises(ValueError, match="output_shape"):
        api.layers.MultiHeadAttention(2, 4, output_shape=8.0)
    layer = api.layers.MultiHeadAttention(2, 4, output_shape=(3, np.int64(2)))
    assert layer(ones(1, 5, 6), ones(1, 5, 6)).shape == (1, 5, 3, 2)


def test_output_shapes_of_attention_are_positive():
    for wrong in (0, -1, (2, 0), "ab", (2, None)):
        with pytest.raises(ValueError, match="output_shape"):
            keras.layers.MultiHeadAttention(2, 4, output_shape=wrong)
