"""Numbers in a config are not believed: what they ask for is compared with what the file holds, or has a cap."""

from __future__ import annotations

import numpy as np
import pytest

import compat as keras
from compat import layers
from compat.models.op_sizes import check_sizes
from compat.serialization.registry import reading
from tests.hostile import configs, readers
from tests.hostile.confined import accepted, attempt, refused

BIG = 10**9


def _attention():
    x = keras.Input((4, 8))
    model = keras.Model(x, layers.MultiHeadAttention(2, 2, name="a")(x, x))
    model.compile("adam", "mse")
    return model


def _changed(model, class_name, **changes):
    config = configs.config_of(model)
    for found in configs.entries(config, class_name):
        found["config"] |= changes
    return config


@pytest.mark.parametrize("form", configs.FORMATS)
def test_weights_are_compared_before_they_are_made(form, tmp_path):
    """Ten million heads, and an optimizer with a state for them."""
    model = _attention()
    config = _changed(model, "MultiHeadAttention", num_heads=10**7)
    refused(readers.load_model, configs.write(model, config, tmp_path, form), match="has shape")


@pytest.mark.parametrize(("layer", "changes"), [
    (lambda: layers.Dense(2, name="d"), {"units": 10**10}),
    (lambda: layers.Embedding(4, 2, name="d"), {"input_dim": 10**10}),
    (lambda: layers.LayerNormalization(name="d"), {"axis": [0, 1]}),
])  # fmt: skip
def test_other_weights_too(layer, changes, tmp_path):
    model = configs.functional(layer())
    model.compile("adam", "mse")
    config = _changed(model, type(layer()).__name__, **changes)
    refused(readers.load_model, configs.write(model, config, tmp_path))


METRICS = {
    "AUC": (lambda: keras.metrics.AUC(num_thresholds=5), {"num_thresholds": 10**8}),
    "AUC of labels": (
        lambda: keras.metrics.AUC(num_thresholds=5, multi_label=True, num_labels=2),
        {"num_labels": 10**8},
    ),
    "PrecisionAtRecall": (lambda: keras.metrics.PrecisionAtRecall(0.5, 5), {"num_thresholds": 10**8}),
    "MeanIoU": (lambda: keras.metrics.MeanIoU(5), {"num_classes": 30000}),
    "OneHotIoU": (lambda: keras.metrics.OneHotIoU(5, [1]), {"num_classes": 30000}),
}


@pytest.mark.parametrize("form", configs.FORMATS)
@pytest.mark.parametrize("name", METRICS)
def test_metrics_have_a_cap(name, form, tmp_path):
    make, changes = METRICS[name]
    model = configs.compiled(make())
    config = _changed(model, type(make()).__name__, **changes)
    refused(readers.load_model, configs.write(model, config, tmp_path, form), match="allowance")


def test_the_cap_can_be_raised(tmp_path):
    config = _changed(configs.compiled(keras.metrics.MeanIoU(5)), "MeanIoU", num_classes=9000)
    path = configs.write(configs.compiled(keras.metrics.MeanIoU(5)), config, tmp_path)
    with pytest.raises(ValueError, match="324,000,000 bytes"):
        keras.saving.load_model(path)
    loaded = keras.saving.load_model(path, allowance=1 << 29)
    assert loaded.get_compile_config()["metrics"][0]["config"]["num_classes"] == 9000
    metric = config["compile_config"]["metrics"][0]
    with pytest.raises(ValueError, match="allowance"):
        keras.saving.deserialize_keras_object(metric)
    assert keras.saving.deserialize_keras_object(metric, allowance=1 << 29).num_classes == 9000


def test_what_is_not_read_from_data_has_no_cap():
    model = configs.compiled(keras.metrics.MeanIoU(9000))
    assert keras.models.clone_model(model).get_compile_config()["metrics"][0]["config"]["num_classes"] == 9000


def test_the_cap_is_for_all_together(tmp_path):
    config = _changed(configs.compiled(keras.metrics.MeanIoU(5)), "MeanIoU", num_classes=5000)
    config["compile_config"]["metrics"] *= 3
    with pytest.raises(ValueError, match="are left"):
        keras.saving.deserialize_keras_object(config["compile_config"])


@pytest.mark.parametrize(("value", "dtype"), [
    (["a"], "<U500000000"), (["a"], "|S2000000000"), (["a"] * 1000, "<U4000"), ([1.0], "U500000000"), ([1.0], "O"),
    ([[1.0], [1.0, 2.0]], "float32"), (["x"], "float32"), ([1], "V100000000"), ([1], "f4,f4"),
    ({"a": 1}, "float32"), ([10**400], "float32"),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["__numpy__", "__tensor__"])
def test_arrays_are_as_large_as_their_values(kind, value, dtype):
    many = value * 1000 if dtype == "<U4000" else value
    refused(readers.deserialize, {"class_name": kind, "config": {"value": many, "dtype": dtype}}, match="")


@pytest.mark.parametrize("array", [
    np.arange(6, dtype="int64").reshape(2, 3), np.float32(2.5) * np.ones(3, "float32"), np.array(["ab", "c"]),
    np.array([b"ab", b"c"]), np.zeros((2, 0), "float16"), np.array([True, False]), np.array(3, "uint8"),
])  # fmt: skip
def test_honest_arrays_come_back(array):
    data = {"class_name": "__numpy__", "config": {"value": array.astype("U").tolist() if array.dtype.kind == "S" else
                                                  array.tolist(), "dtype": array.dtype.str}}  # fmt: skip
    if array.dtype.kind not in "US":
        data["config"]["dtype"] = array.dtype.name
    found = keras.saving.deserialize_keras_object(data)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_stacked_cells(tmp_path):
    x = keras.Input((4, 8))
    model = keras.Model(x, layers.RNN([layers.SimpleRNNCell(2), layers.SimpleRNNCell(2)])(x))
    config = configs.config_of(model)
    cells = configs.entry(config, "StackedRNNCells")["config"]["cells"]
    cells *= 1000
    refused(readers.load_model, configs.write(model, config, tmp_path), match="cells")


OPS = {  # a call, and what a file may say of it
    "full": (lambda x: keras.ops.full((2, 2), x[0, 0]), {"shape": [BIG, BIG]}),
    "broadcast_to": (lambda x: keras.ops.broadcast_to(x[:1], (2, 4)), {"shape": [BIG, 4]}),
    "repeat": (lambda x: keras.ops.repeat(x, 2, axis=1), {"repeats": BIG}),
    "tile": (lambda x: keras.ops.tile(x, (1, 2)), {"repeats": [1, BIG]}),
    "one_hot": (lambda x: keras.ops.one_hot(keras.ops.cast(x, "int32"), 3), {"num_classes": BIG}),
    "linspace": (lambda x: keras.ops.linspace(x, x + 1, num=3), {"num": BIG}),
    "resize": (lambda x: keras.ops.image.resize(x[:, :, None, None], (2, 2)), {"size": [BIG, 2]}),
    "array_split": (lambda x: keras.ops.array_split(x, 2, axis=1), {"indices_or_sections": 10**6}),
    "diff": (lambda x: keras.ops.diff(x, 1), {"n": 10**6}),
    "pad": (lambda x: keras.ops.pad(x, ((0, 0), (0, 2))), {"pad_width": [[0, 0], [0, BIG]]}),
    "extract_sequences": (lambda x: keras.ops.extract_sequences(x, 2, 1), {"sequence_length": BIG}),
}


@pytest.mark.parametrize("name", OPS)
def test_settings_of_ops(name, tmp_path):
    call, changes = OPS[name]
    model = configs.functional(layers.Dense(4, name="d"), call)
    config = configs.config_of(model)
    for entry in config["config"]["layers"]:
        if set(changes) <= set(entry["config"]):
            entry["config"] |= changes
            break
    else:
        raise AssertionError("the op's settings have other names")
    refused(readers.load_model, configs.write(model, config, tmp_path))


ONE = {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}


@pytest.mark.parametrize(("op", "args", "config"), [
    ("Full", [7.0], {"shape": [30000, 30000]}),
    ("BroadcastTo", [ONE], {"shape": [30000, 30000]}), ("Repeat", [ONE], {"repeats": BIG}),
    ("Tile", [ONE], {"repeats": [BIG]}),
    ("Arange", [0, BIG], {}),
    ("WhileLoop", [0], {"cond": "relu", "body": "relu"}),
    ("ForiLoop", [1.0], {"lower": 0, "upper": BIG, "body_fun": "relu"}),
])  # fmt: skip
def test_ops_on_no_output_of_a_layer_are_not_run(op, args, config, tmp_path):
    refused(readers.load_model, _with_op(op, args, config, tmp_path), match="no output of another")


def _with_op(op, args, config, folder):
    """A file of a model whose output is that of an op."""
    model = configs.functional(layers.Dense(4, name="d"))
    data = configs.config_of(model)
    data["config"]["layers"].append({
        "module": "keras.src.ops.numpy", "class_name": op, "registered_name": op, "name": "o",
        "config": config | {"name": "o"}, "inbound_nodes": [{"args": args, "kwargs": {}}],
    })  # fmt: skip
    data["config"]["output_layers"] = [["o", 0, 0]]
    return configs.write(model, data, folder)


@pytest.mark.parametrize(("op", "constants"), [("Outer", 2), ("Matmul", 2), ("Kron", 2), ("Exp", 1)])
def test_an_output_of_a_layer_that_an_op_does_not_take_makes_no_call(op, constants, tmp_path):
    many = {"class_name": "__numpy__", "config": {"value": [1.0] * 40_000, "dtype": "float32"}}
    output = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 4], "dtype": "float32", "keras_history": ["d", 0, 0]},
    }
    refused(
        readers.load_model,
        _with_op(op, [many] * constants + [output], {}, tmp_path),
        match=f"received {constants + 1} arguments",
    )


@pytest.mark.parametrize("order", [list, lambda made: made[::-1], lambda made: made[::2] + made[1::2]])
def test_layers_in_any_order_take_time_as_they_are_many(order, tmp_path):
    model, config = configs.chain(2000, order)
    accepted(readers.load_model, configs.write(model, config, tmp_path))


def test_what_an_honest_file_lacks_may_be_drawn(tmp_path):
    """An optimizer that has made no step has no state in the file."""
    model = configs.compiled("mae")
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert not loaded.optimizer.variables[2].drawn or float(np.sum(loaded.optimizer.variables[2].numpy())) == 0
    x = np.ones((4, 3), "float32")
    loaded.fit(x, np.ones((4, 2)), verbose=0)


@pytest.mark.parametrize("make", [
    lambda: layers.Dense(2, name="d"), lambda: layers.Flatten(name="d"), lambda: layers.Reshape((-1,), name="d"),
    lambda: keras.ops.softmax, lambda: lambda x: keras.ops.reshape(x, (-1, 3)),
])  # fmt: skip
def test_many_unknown_sizes(make, tmp_path):
    """Symbolic sizes are compared in all combinations of their bounds."""
    model = configs.functional(layers.Dense(3, name="e"), make())
    config = _changed(model, "InputLayer", batch_shape=[None] * 40 + [3])
    for entry in config["config"]["layers"]:
        entry.pop("build_config", None)
    found = attempt(readers.load_model, configs.write(model, config, tmp_path))
    assert found.error is None or "ValueError" in found.error


GRAPHS = {  # constants that follow from a layer or an op and the size of its input together
    "rows": (lambda: layers.UpSampling1D(2, name="u"), "UpSampling1D", {"size": 10**9}),
    "a matrix": (lambda: layers.UpSampling2D(2, interpolation="bilinear", name="u"), "UpSampling2D",
                 {"size": [4 * 10**6, 4 * 10**6], "interpolation": "lanczos5"}),
    "windows": (lambda: layers.AdaptiveAveragePooling2D(2, name="u"), "AdaptiveAveragePooling2D",
                {"output_size": [10**8, 10**8]}),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_layers_that_resize(name, tmp_path):
    make, class_name, changes = GRAPHS[name]
    x = keras.Input((4, 3) if class_name.endswith("1D") else (4, 4, 3))
    model = keras.Model(x, layers.Dense(2)(make()(x)))
    found = attempt(readers.load_model, configs.write(model, _changed(model, class_name, **changes), tmp_path))
    assert found.error is None or "ValueError" in found.error


@pytest.mark.parametrize(("op", "settings"), [
    ("gaussian_blur", {"kernel_size": (8000, 8000)}), ("elastic_transform", {"sigma": 2e7}),
    ("elastic_transform", {"sigma": 10**9}), ("ssim", {"filter_size": 10**5}), ("diff", {"n": 10**6}),
    ("unstack", {"num": None, "axis": 0}), ("pad", {"pad_width": [[0, 4 * 10**6], [0, 0]], "mode": "reflect"}),
    ("one_hot", {"num_classes": 10**9}), ("fold", {"output_size": (10**9, 3)}),
])  # fmt: skip
def test_prices_of_ops(op, settings):
    x = keras.KerasTensor((10**6, 3) if op == "unstack" else (2, 3))
    with reading(), pytest.raises(ValueError, match="allowance"):
        check_sizes(op, settings, (x,))


@pytest.mark.parametrize(("op", "settings"), [
    ("clip", {"x_min": 0, "x_max": 10**9}), ("pad", {"pad_width": [[0, 0], [3, 3]], "mode": "reflect"}),
    ("reshape", {"newshape": [-1, 10**7]}), ("roll", {"shift": 10**9}), ("unstack", {"num": 100, "axis": 0}),
    ("gaussian_blur", {"kernel_size": (21, 21)}), ("one_hot", {"num_classes": 100_000}),
])  # fmt: skip
def test_values_have_no_price_and_honest_sizes_fit(op, settings):
    with reading():
        check_sizes(op, settings, (keras.KerasTensor((None, 3)),))


SGD = {"module": "keras.optimizers", "class_name": "SGD", "config": {}}


@pytest.mark.parametrize("data", [
    {"module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "config": {"policy_map": {"(a+)+$": "float32"}}},
    {"module": "keras.optimizers", "class_name": "Muon", "config": {"exclude_layers": ["(a+)+X"]}},
    {"module": "keras.optimizers", "class_name": "Muon", "config": {"exclude_layers": ["a?" * 60 + "a" * 60 + "X"]}},
    {"module": "keras.optimizers", "class_name": "Muon", "config": {"exclude_layers": ["(a|a)" * 30 + "X"]}},
    {"module": "keras.optimizers", "class_name": "Muon", "config": {"exclude_layers": ["(?:a|a)" * 20 + "X"]}},
    {"module": "keras.optimizers", "class_name": "OptimizerMap", "config": {
        "default_optimizer": SGD, "optimizer_map": {".*a.*b.*c.*d": SGD},
    }},
])  # fmt: skip
def test_patterns_that_take_for_ever(data):
    refused(readers.deserialize, data, match="pattern")


def test_honest_patterns_are_read():
    data = {
        "module": "keras.optimizers",
        "class_name": "Muon",
        "config": {"exclude_layers": (patterns := ["dense_[12]", ".*norm.*", "(dense|conv)_?[0-9]+", "(?:a|b)c"])},
    }
    assert keras.saving.deserialize_keras_object(data).get_config()["exclude_layers"] == patterns


def test_long_names(tmp_path):
    config = configs.config_of(configs.sequential())
    configs.entry(config, "Dense")["config"]["name"] = "a" * 300
    refused(readers.load_model, configs.write(configs.sequential(), config, tmp_path), match="characters")


@keras.saving.register_keras_serializable("sizes")
class Widened(layers.Layer):
    """A layer of the user's that makes its own weight."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units))
        self.built = True

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


def test_nothing_is_drawn_to_find_a_shape():
    model = keras.Sequential([keras.Input((4, 3)), layers.TimeDistributed(Widened(2))])
    config = _changed(model, "Widened", units=10**9)
    loaded = keras.saving.deserialize_keras_object(config)
    assert loaded.output_shape == (None, 4, 10**9)
    assert not any(variable.drawn for variable in loaded.variables)


def test_a_resizing_layer_inside_another_is_priced():
    """The outer one runs its definition, so that it is priced when it is made."""
    config = configs.config_of(layers.TimeDistributed(layers.AdaptiveAveragePooling2D(2)))
    configs.entry(config, "AdaptiveAveragePooling2D")["config"]["output_size"] = [10**8, 10**8]
    with pytest.raises(ValueError, match="AdaptiveAveragePooling2D with output_size"):
        keras.saving.deserialize_keras_object(config)
