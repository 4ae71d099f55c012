"""Options of saving and loading, the older format and the file editor, against real Keras where it has them."""

from __future__ import annotations

import io
import json
import os
import warnings

import h5py
import numpy as np
import pytest

import compat
from compat import layers
from tests.compat import saving_custom, saving_graphs
from tests.compat.saving_models import as_arrays, build

keras = pytest.importorskip("keras")
DIRECTIONS = pytest.mark.parametrize("source", ["keras", "compat"])
assert saving_custom
assert saving_graphs


def _apis(source):
    return (keras, compat) if source == "keras" else (compat, keras)


def _same(model, other, x):
    a, b = as_arrays(model(x, training=False)), as_arrays(other(x, training=False))
    for p, q in zip(a if isinstance(a, list) else [a], b if isinstance(b, list) else [b], strict=True):
        np.testing.assert_allclose(p, q, rtol=2e-5, atol=2e-5)


def _wide(api):
    return api.Sequential([api.Input((30,)), *(api.layers.Dense(40, name=f"d{i}") for i in range(4))])


@DIRECTIONS
def test_a_folder_in_place_of_an_archive(source, tmp_path):
    first, second = _apis(source)
    build("custom_assets", second)
    model, x, _ = build("custom_assets", first)
    model.save(tmp_path / "m", zipped=False)
    assert {"config.json", "metadata.json", "model.weights.h5", "assets"} == set(os.listdir(tmp_path / "m"))
    loaded = second.saving.load_model(tmp_path / "m")
    assert loaded.layers[0].words == ("three", "of", "them")
    _same(model, loaded, x)
    with pytest.raises(ValueError, match=r"\.keras"):
        model.save(tmp_path / "m.keras", zipped=False)


@DIRECTIONS
def test_weights_in_several_files(source, tmp_path):
    first, second = _apis(source)
    model, other = _wide(first), _wide(second)
    model.save_weights(tmp_path / "w.weights.json", max_shard_size=1e-5)
    assert len(list(tmp_path.glob("w_*.weights.h5"))) > 1
    index = json.loads((tmp_path / "w.weights.json").read_text())
    assert set(index) == {"metadata", "weight_map"}
    other.load_weights(tmp_path / "w.weights.json")
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_variable_that_no_file_can_hold(tmp_path):
    with pytest.raises(ValueError, match="max_shard_size"):
        _wide(compat).save_weights(tmp_path / "w.weights.json", max_shard_size=1e-7)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("api", [compat, keras], ids=["compat", "keras"])
@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_what_is_skipped(api, ending, tmp_path):
    model, other = _wide(api), _wide(api)
    model.save_weights(tmp_path / "w.weights.h5") if ending == ".weights.h5" else model.save(tmp_path / "w.keras")
    kept = other.layers[1].get_weights()[0]
    if ending == ".weights.h5":
        other.load_weights(tmp_path / f"w{ending}", objects_to_skip=[other.layers[1]])
        np.testing.assert_array_equal(other.layers[1].get_weights()[0], kept)
    else:
        other.load_weights(tmp_path / f"w{ending}")
    np.testing.assert_array_equal(other.layers[2].get_weights()[0], model.layers[2].get_weights()[0])
    narrow = api.Sequential([api.Input((30,)), api.layers.Dense(40), api.layers.Dense(7)])
    with pytest.raises(ValueError, match=r"shape|loaded"):
        narrow.load_weights(tmp_path / f"w{ending}")
    with pytest.warns(UserWarning, match=r"loaded|could not"):
        narrow.load_weights(tmp_path / f"w{ending}", skip_mismatch=True)
    np.testing.assert_array_equal(narrow.layers[0].get_weights()[0], model.layers[0].get_weights()[0])


@pytest.mark.parametrize("api", [compat, keras], ids=["compat", "keras"])
def test_wrong_arguments_are_refused(api, tmp_path):
    model = _wide(api)
    model.save_weights(tmp_path / "w.weights.h5")
    for call in (
        lambda: model.save(tmp_path / "m.pb"),
        lambda: model.save(tmp_path / "folder"),
        lambda: model.save_weights(tmp_path / "w.h5"),
        lambda: model.save_weights(tmp_path / "w.weights.json"),
        lambda: model.load_weights(tmp_path / "w.weights.h5", bogus=1),
        lambda: model.load_weights(tmp_path / "w.weights.h5", by_name=True),
        lambda: api.saving.load_model(tmp_path / "none.keras"),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            call()
    with pytest.raises(FileNotFoundError):
        model.load_weights(tmp_path / "none.weights.h5")
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "none" / "m.keras")


def test_file_objects():
    model, file = _wide(compat), io.BytesIO()
    model.save(file)
    loaded = compat.saving.load_model(file)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_without_compiling(tmp_path):
    model, x, y = build("optimizer_adam_amsgrad", compat)
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.keras")
    assert not compat.saving.load_model(tmp_path / "m.keras", compile=False).compiled
    model.save(tmp_path / "m.keras", include_optimizer=False)
    assert not compat.saving.load_model(tmp_path / "m.keras").compiled


OLD = ("dense", "conv_norm", "nested_graph", "two_outputs", "ops_of_tensors", "custom_block")


@DIRECTIONS
@pytest.mark.parametrize("name", OLD)
def test_the_older_format(source, name, tmp_path):
    first, second = _apis(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that the format is old
        fresh, *_ = build(name, second)
        model, x, _ = build(name, first)
        model.save(tmp_path / "m.h5")
        fresh.load_weights(tmp_path / "m.h5")
        _same(model, fresh, x)
        _same(model, second.saving.load_model(tmp_path / "m.h5", compile=False), x)


def test_training_goes_on_from_the_older_format(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, x, y = build("optimizer_adam_amsgrad", keras)
        model.train_on_batch(x, y)
        model.save(tmp_path / "m.h5")
    loaded = compat.saving.load_model(tmp_path / "m.h5")
    assert int(loaded.optimizer.iterations) == 1
    model.reset_metrics()
    np.testing.assert_allclose(loaded.train_on_batch(x, y)[0], model.train_on_batch(x, y)[0], rtol=1e-5)


def test_by_name(tmp_path):
    model = _wide(compat)
    model.save(tmp_path / "m.h5")
    other = compat.Sequential([compat.Input((30,)), layers.Dense(40, name="new"), layers.Dense(40, name="d2")])
    other.load_weights(tmp_path / "m.h5", by_name=True)
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], model.layers[2].get_weights()[0])
    with pytest.raises(ValueError, match="another model"):
        other.load_weights(tmp_path / "m.h5")


def test_a_functional_model_of_keras_2(tmp_path):
    """A file in the layout of Keras 2.4, written by hand: nodes as lists, `batch_input_shape`, policies, `lr`."""
    dense = {"units": 3, "activation": "relu", "use_bias": True, "dtype": "float32", "trainable": True}
    initial = {"kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}}
    config = {
        "class_name": "Functional",
        "config": {
            "name": "old",
            "layers": [
                {"class_name": "InputLayer", "name": "in", "inbound_nodes": [], "config": {
                    "batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "name": "in"}},
                {"class_name": "Dense", "name": "a", "config": {"name": "a", **dense, **initial},
                 "inbound_nodes": [[["in", 0, 0, {}]]]},
                {"class_name": "Add", "name": "sum", "config": {
                    "name": "sum", "trainable": True, "dtype": {"class_name": "Policy", "config": {"name": "float32"}}},
                 "inbound_nodes": [[["in", 0, 0, {}], ["a", 0, 0, {}]]]},
            ],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["sum", 0, 0]],
        },
    }  # fmt: skip
    training = {"loss": "mse", "metrics": None, "optimizer_config": {
        "class_name": "SGD", "config": {"name": "SGD", "lr": 0.5, "decay": 0.0, "momentum": 0.0}}}  # fmt: skip
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 3)).astype("float32"), rng.normal(size=3).astype("float32")
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file.attrs["model_config"], file.attrs["training_config"] = json.dumps(config), json.dumps(training).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"in", b"a", b"sum"])
        for name in ("in", "sum"):
            weights.create_group(name).attrs["weight_names"] = np.zeros(0)
        group = weights.create_group("a")
        group.attrs["weight_names"] = np.array([b"a/kernel:0", b"a/bias:0"])
        group["a/kernel:0"], group["a/bias:0"] = kernel, bias
    model = compat.saving.load_model(tmp_path / "old.h5")
    x = rng.normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(model(x)), x + np.maximum(x @ kernel + bias, 0), rtol=1e-5, atol=1e-6)
    assert float(model.optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_the_editor_does_what_keras_does(ending, tmp_path, capsys):
    found = {}
    for api in (keras, compat):
        model = api.Sequential([api.Input((4,)), api.layers.Dense(3, name="a"), api.layers.Dense(2, name="b")])
        path = tmp_path / f"m{ending}"
        model.save(path) if ending == ".keras" else model.save_weights(path)
        editor = api.saving.KerasFileEditor(str(path))
        states = [editor.compare(model)["status"]]
        layers_of = editor.weights_dict["layers"]
        states += [sorted(layers_of), sorted(layers_of["dense"]), editor.object_metadata["/layers/dense"]]
        editor.summary()
        editor.rename_object("layers/dense", "other")
        states.append(editor.compare(model)["status"])
        editor.rename_object("layers/other", "dense")
        editor.delete_weight("layers/dense", "1")
        editor.add_weights("layers/dense", {"1": np.full(3, 5.0, "float32")})
        editor.add_object("layers/more", {"0": np.ones(2)})
        editor.delete_object("layers/more")
        states.append(editor.compare(model)["status"])
        editor.save(str(tmp_path / "new.weights.h5"))
        model.load_weights(tmp_path / "new.weights.h5")
        states.append(model.layers[0].get_weights()[1].tolist())
        for bad in (
            lambda e=editor: e.rename_object("nope", "x"),
            lambda e=editor: e.rename_object("layers/dense", "x/y"),
            lambda e=editor: e.delete_object("layers/nope"),
            lambda e=editor: e.delete_weight("layers/dense", "7"),
            lambda e=editor: e.add_object("nope/x", {}),
            lambda e=editor: e.add_weights("layers/dense", [1]),
            lambda e=editor, p=tmp_path: e.save(str(p / "x.h5")),
            lambda a=api: a.saving.KerasFileEditor("x.pb"),
        ):
            with pytest.raises(ValueError, match=r"\w"):
                bad()
        found[api.__name__] = states
    assert found["compat"] == found["keras"]
    assert "dense" in capsys.readouterr().out


def test_registered_names_are_those_of_keras():
    for api in (keras, compat):

        @api.saving.register_keras_serializable("Options", "short")
        class Thing:
            def get_config(self):
                return {}

            @classmethod
            def from_config(cls, config):
                return cls(**config)

        assert api.saving.get_registered_name(Thing) == "Options>short"
        assert api.saving.get_registered_object("Options>short") is Thing
        assert api.saving.get_custom_objects()["Options>short"] is Thing
        assert isinstance(api.saving.deserialize_keras_object(api.saving.serialize_keras_object(Thing())), Thing)
        with api.saving.custom_object_scope({"Local": Thing}):
            assert api.saving.get_registered_object("Local") is Thing
        assert api.saving.get_registered_object("Local") is None


@DIRECTIONS
def test_json(source):
    first, second = _apis(source)
    build("subclass_in_graph", second)
    model, x, _ = build("subclass_in_graph", first)
    other = second.models.model_from_json(model.to_json())
    other(x)
    assert [tuple(v.shape) for v in other.weights] == [tuple(v.shape) for v in model.weights]


@pytest.mark.parametrize("shards", [None, 1e-9 * 2000])
def test_objects_to_skip_are_not_written(tmp_path, shards):
    def made():
        return compat.Sequential(
            [compat.Input((3,)), compat.layers.Dense(4, name="a"), compat.layers.Dense(5, name="b")]
        )

    first, second = made(), made()
    path = tmp_path / ("m.weights.json" if shards else "m.weights.h5")
    first.save_weights(path, max_shard_size=shards, objects_to_skip=[first.layers[0]])
    kept = second.layers[0].get_weights()[0]
    with pytest.raises(ValueError, match="'a'"):
        second.load_weights(path)
    second.load_weights(path, objects_to_skip=[second.layers[0]])
    np.testing.assert_array_equal(second.layers[0].get_weights()[0], kept)
    np.testing.assert_array_equal(second.layers[1].get_weights()[0], first.layers[1].get_weights()[0])


def test_containers_that_hold_themselves(tmp_path):
    class Cyclic(compat.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [{"out": compat.layers.Dense(2)}]
            self.blocks.append(self.blocks)

        def call(self, x):
            return self.blocks[0]["out"](x)

    x = np.ones((2, 4), "float32")
    first, second = Cyclic(), Cyclic()
    expected = first(x)
    second(x)
    first.save_weights(tmp_path / "m.weights.h5")
    second.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(second(x), expected)
