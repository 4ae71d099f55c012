"""What `TensorBoard`, `OrbaxCheckpoint` and the trackers write."""

from __future__ import annotations

import glob
import io
import json
import os
import subprocess
import sys
import types

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import X, Y, model

IMAGES = np.random.default_rng(0).normal(size=(20, 4, 4, 2)).astype("float32")


def _net(api):
    i = api.Input((4, 4, 2), name="i")
    h = api.layers.Flatten(name="f")(api.layers.Conv2D(3, 2, name="c")(i))
    net = api.Model(i, api.layers.Dense(1, name="d")(h), name="net")
    net.compile("sgd", "mse", metrics=["mae"])
    rng = np.random.default_rng(1)
    net.set_weights([rng.normal(scale=0.3, size=w.shape).astype("float32") for w in net.get_weights()])
    return net


def _fit(api, folder, evaluate=False, **kwargs):
    net, callback = _net(api), api.callbacks.TensorBoard(str(folder), **kwargs)
    options = {"batch_size": 5, "verbose": 0, "callbacks": [callback]}
    net.fit(IMAGES, Y, epochs=3, shuffle=False, validation_data=(IMAGES, Y), **options)
    if evaluate:
        net.evaluate(IMAGES, Y, **options)
    return callback


def _events(folder):
    """`{tag: [(step, plugin, value)]}` of a folder's event files, read by TensorBoard itself."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    found = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        found[tag] = [(e.step, plugin, _value(e.tensor_proto)) for e in events.Tensors(tag)]
    return found


def _value(tensor):
    shape = [d.size for d in tensor.tensor_shape.dim]
    if tensor.string_val:
        return list(tensor.string_val)
    dtype = {1: np.float32, 2: np.float64}[tensor.dtype]
    flat = np.frombuffer(tensor.tensor_content, dtype) if tensor.tensor_content else np.array(tensor.float_val, dtype)
    return flat.reshape(shape)


def _numbers(events, tag):
    return [float(value) for _, _, value in events[tag]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"histogram_freq": 2, "write_images": True},
        {"update_freq": "batch", "evaluate": True},
        {"write_graph": False},
    ],
    ids=str,
)
def test_tensorboard_writes_what_keras_writes(kwargs, tmp_path):
    for api in (keras, compat):
        _fit(api, tmp_path / api.__name__, **kwargs)
    for part in ("train", "validation"):
        theirs, ours = (_events(tmp_path / api.__name__ / part) for api in (keras, compat))
        assert sorted(ours) == sorted(theirs)
        for tag, wanted in theirs.items():
            assert [e[:2] for e in ours[tag]] in ([e[:2] for e in wanted], [e[:2] for e in wanted[:1]]), tag
            for (_, plugin, got), (_, _, value) in zip(ours[tag], wanted, strict=False):
                if plugin == "images":
                    assert got[:2] == value[:2]
                    pictures = [[np.asarray(_picture(p), int) for p in v[2:]] for v in (got, value)]
                    assert all(np.abs(a - b).max() <= 1 for a, b in zip(*pictures, strict=True))
                elif plugin in ("scalars", "histograms"):
                    np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)


def _picture(png):
    from PIL import Image

    return Image.open(io.BytesIO(png))


def test_tensorboard_by_epoch(tmp_path):
    _fit(compat, tmp_path, histogram_freq=2, write_images=True, write_steps_per_second=True)
    train, validation = _events(tmp_path / "train"), _events(tmp_path / "validation")
    assert [e[0] for e in train["epoch_loss"]] == [0, 1, 2]
    assert [e[0] for e in validation["evaluation_loss_vs_iterations"]] == [4, 8, 12]
    assert _numbers(train, "epoch_learning_rate") == [float(np.float32(0.01))] * 3
    assert min(_numbers(train, "epoch_steps_per_second")) > 0
    assert {"epoch_loss", "epoch_mae"} <= set(validation)
    assert [e[:2] for e in train["c/kernel/histogram"]] == [(0, "histograms"), (2, "histograms")]
    left, right, count = train["c/kernel/histogram"][0][2].T
    assert count.sum() == 24
    np.testing.assert_allclose(left[1:], right[:-1])
    assert train["c/kernel/image"][0][2][2][:4] == b"\x89PNG"
    plugin = pytest.importorskip("tensorboard.plugins.graph.keras_util")
    graph = plugin.keras_model_to_graph_def(json.loads(train["keras"][0][2][0]))
    assert len(graph.node) >= 4


def test_tensorboard_by_batch_and_own_summaries(tmp_path):
    class Own(compat.callbacks.TensorBoard):
        def on_epoch_end(self, epoch, logs=None):
            self.summary.scalar("own/number", epoch * 2, epoch)
            self.summary.text("own/text", "**hello**", epoch)
            super().on_epoch_end(epoch, logs)

    model(compat).fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[Own(tmp_path, update_freq=2)])
    train = _events(tmp_path / "train")
    assert [e[0] for e in train["batch_loss"]] == [2, 4, 6, 8, 10]
    assert _numbers(train, "own/number") == [0.0, 2.0]
    assert train["own/text"][0][1:] == ("text", [b"**hello**"])


def test_tensorboard_profiles_embeds_and_checks_its_arguments(tmp_path):
    net = compat.Sequential(
        [compat.Input((3,), dtype="int32"), compat.layers.Embedding(5, 2, name="emb"), compat.layers.Flatten(),
         compat.layers.Dense(1)]
    )  # fmt: skip
    net.compile("sgd", "mse")
    data = np.ones((8, 3), "int32"), np.ones((8, 1), "float32")
    callback = compat.callbacks.TensorBoard(
        tmp_path, profile_batch=(2, 3), embeddings_freq=1, embeddings_metadata={"emb": "labels.tsv"}
    )
    net.fit(*data, batch_size=2, epochs=1, verbose=0, callbacks=[callback])
    assert glob.glob(str(tmp_path / "plugins" / "profile" / "*" / "*.xplane.pb"))
    np.testing.assert_allclose(np.loadtxt(tmp_path / "emb.tsv"), net.layers[0].get_weights()[0], rtol=1e-4)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert text.split() == ["embeddings", "{", "tensor_name:", '"emb"', "tensor_path:", '"emb.tsv"', "metadata_path:",
                            '"labels.tsv"', "}"]  # fmt: skip
    with pytest.raises(ValueError, match="embeddings_metadata names"):
        net.fit(*data, verbose=0, callbacks=[compat.callbacks.TensorBoard(
            tmp_path, embeddings_freq=1, embeddings_metadata={"zz": "a"})])  # fmt: skip
    for kwargs in ({"update_freq": "x"}, {"profile_batch": "x"}, {"profile_batch": (3, 1)}, {"profile_batch": -1}):
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            compat.callbacks.TensorBoard(tmp_path, **kwargs)


def test_tensorboard_loads_no_tensorflow(tmp_path):
    script = (
        "import sys, numpy as np, compat as keras\n"
        "m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]); m.compile('sgd', 'mse')\n"
        f"c = keras.callbacks.TensorBoard({str(tmp_path)!r}, histogram_freq=1, write_images=True, update_freq=1)\n"
        "m.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[c])\n"
        "print(sorted({'tensorflow', 'torch', 'matplotlib', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("kwargs", "steps"),
    [({}, ["2"]), ({"max_to_keep": 2}, ["1", "2"]),
     ({"max_to_keep": None, "save_on_background": False}, ["0", "1", "2"]),
     ({"save_freq": 5, "max_to_keep": 9, "save_weights_only": True}, ["10", "5"]),
     ({"save_best_only": True, "monitor": "loss", "mode": "max", "max_to_keep": 9}, ["0"])],
)  # fmt: skip
def test_orbax_checkpoint(kwargs, steps, tmp_path):
    pytest.importorskip("orbax.checkpoint")
    trained = model(compat, "adam")
    callback = compat.callbacks.OrbaxCheckpoint(tmp_path / "o", **kwargs)
    trained.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[callback])
    assert sorted(os.listdir(tmp_path / "o")) == steps
    assert (callback.is_multihost_enabled(), callback.is_primary_host()) == (False, True)
    if kwargs.get("save_weights_only"):
        with pytest.raises(ValueError, match="weights alone"):
            compat.saving.load_model(tmp_path / "o")
        return
    loaded = compat.saving.load_model(tmp_path / "o")
    if steps[-1] == "2":
        for a, b in zip(loaded.get_weights(), trained.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for api_model in (loaded, trained):
            api_model.fit(X, Y, epochs=1, shuffle=False, verbose=0)
        np.testing.assert_allclose(loaded.get_weights()[0], trained.get_weights()[0], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:orbax", "ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("writer", "reader"), [(keras, compat), (compat, keras)], ids=["from_keras", "to_keras"])
def test_orbax_weights_go_both_ways(writer, reader, tmp_path):
    pytest.importorskip("orbax.checkpoint")
    trained = model(writer, "adam")
    callback = writer.callbacks.OrbaxCheckpoint(str(tmp_path / "o"), save_on_background=False)
    trained.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    callback.wait_until_finished()
    other = model(reader, "adam")
    other.load_weights(str(tmp_path / "o"))
    for a, b in zip(other.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore::UserWarning:orbax", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_orbax_goes_on_counting_in_a_second_training(tmp_path):
    trained = model(compat)
    for steps in (["1", "2"], ["1", "2", "3", "4"]):
        callback = compat.callbacks.OrbaxCheckpoint(tmp_path / "o", save_freq=1, max_to_keep=None)
        trained.fit(X, Y, batch_size=len(X) // 2, verbose=0, callbacks=[callback])
        assert sorted(os.listdir(tmp_path / "o")) == steps


def test_orbax_refuses_what_does_not_fit(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    callback = compat.callbacks.OrbaxCheckpoint(tmp_path / "o", save_on_background=False)
    model(compat).fit(X, Y, verbose=0, callbacks=[callback])
    other = compat.Sequential([compat.Input((4,)), compat.layers.Dense(1, name="d")], name="s")
    with pytest.raises(ValueError, match=r"shape \(4, 1\); the checkpoint has \(3, 1\)"):
        other.load_weights(tmp_path / "o")
    other = compat.Sequential([compat.Input((3,)), compat.layers.Dense(1, name="e")], name="s")
    with pytest.raises(ValueError, match="no array for the variable"):
        other.load_weights(tmp_path / "o")


def _fake_mlflow():
    fake, calls = types.ModuleType("mlflow"), []
    fake.active_run = lambda: None
    for name in ("start_run", "end_run", "log_params", "log_metrics", "log_text"):
        setattr(fake, name, lambda *args, _name=name, **kwargs: calls.append((_name, args, kwargs)))
    return fake, calls


def test_mlflow(monkeypatch):
    fake, calls = _fake_mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    history = model(compat).fit(
        X, Y, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[compat.callbacks.MlflowCallback()]
    )
    assert [c[0] for c in calls] == ["start_run", "log_params", "log_text", "log_metrics", "log_metrics", "end_run"]
    assert calls[1][1][0]["optimizer_learning_rate"] == pytest.approx(0.01)
    assert calls[2][1][1] == "model_summary.txt"
    assert calls[3][1][0]["val_loss"] == history.history["val_loss"][0]
    assert [c[2]["step"] for c in calls if c[0] == "log_metrics"] == [0, 1]
    calls.clear()
    fake.active_run = object
    callback = compat.callbacks.MlflowCallback(log_every_epoch=False, log_every_n_steps=2)
    model(compat).fit(X, Y, batch_size=4, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[callback])
    sent = [(c[2]["step"], sorted(c[1][0])) for c in calls if c[0] == "log_metrics"]
    train, test = ["loss", "mae"], ["validation_loss", "validation_mae"]
    assert sent == [(2, train), (4, train), (5, test), (6, train), (8, train), (10, train), (10, test)]
    assert not {"start_run", "end_run"} & {c[0] for c in calls}
    for kwargs in ({"log_every_epoch": False}, {"log_every_n_steps": 3}):
        with pytest.raises(ValueError, match="either"):
            compat.callbacks.MlflowCallback(**kwargs)


def test_wandb(monkeypatch):
    fake, sent = types.ModuleType("wandb"), []
    fake.run, fake.log, fake.define_metric = None, sent.append, lambda *args, **kwargs: None
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(RuntimeError, match=r"wandb\.init"):
        model(compat).fit(X, Y, verbose=0, callbacks=[compat.callbacks.WandbMetricsLogger()])
    fake.run = object()
    model(compat).fit(X, Y, epochs=2, verbose=0, callbacks=[compat.callbacks.WandbMetricsLogger()])
    assert [s["epoch/epoch"] for s in sent] == [0, 1]
    assert sorted(sent[0]) == ["epoch/epoch", "epoch/learning_rate", "epoch/loss", "epoch/mae"]
    sent.clear()
    callback = compat.callbacks.WandbMetricsLogger(log_freq=2, initial_global_step=100)
    model(compat).fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[callback])
    assert [s["batch/batch_step"] for s in sent if "batch/loss" in s] == [102, 104]


@pytest.mark.parametrize(
    ("missing", "make", "extra"),
    [
        ("mlflow", compat.callbacks.MlflowCallback, "mlflow"),
        ("wandb", compat.callbacks.WandbMetricsLogger, "wandb"),
        ("requests", compat.callbacks.RemoteMonitor, "callbacks"),
        ("tensorboard.compat.proto", lambda: compat.callbacks.TensorBoard("t").summary, "tensorboard"),
        ("orbax.checkpoint", lambda: compat.callbacks.OrbaxCheckpoint("o"), "orbax"),
        ("matplotlib.figure", lambda: compat.callbacks.History().plot(), "plot"),
        ("pandas", lambda: compat.callbacks.History().to_pandas(), "plot"),
    ],
)
def test_missing_packages_name_their_extra(missing, make, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"kfun\[{extra}\]"):
        make()
