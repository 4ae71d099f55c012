"""Callbacks that watch metrics, save and log: their options do what Keras's do."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import csv
import inspect
import json
import pathlib

import keras
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import X, Y, logs_of, model

APIS = (keras, compat)
NAMES = (
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "OrbaxCheckpoint", "ProgbarLogger", "ReduceLROnPlateau",
    "RemoteMonitor", "SwapEMAWeights", "TensorBoard", "TerminateOnNaN",
)  # fmt: skip


def both(run):
    """What `run(api)` gives for Keras and for compat."""
    return tuple(run(api) for api in APIS)


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    theirs, ours = (inspect.signature(getattr(api.callbacks, name).__init__).parameters.values() for api in APIS)
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


def test_hooks_are_those_of_keras():
    theirs, ours = ({n for n in dir(api.callbacks.Callback) if n[0] != "_"} for api in APIS)
    assert ours - {"kept_in_backups"} == theirs  # which no callback of Keras has


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize(
    ("values", "kwargs"),
    [
        ([3, 2, 1, 2, 3, 4], {"patience": 1, "mode": "min"}),
        ([3, 2, 1, 2, 3, 4], {"patience": 0, "mode": "min"}),
        ([3, 2, 1, 2, 3, 4], {"patience": 2, "mode": "min", "restore_best_weights": True}),
        ([3, 2, 1, 2, 3, 4], {"patience": 5, "mode": "min", "restore_best_weights": True}),
        ([3, 2, 1, 2, 3, 0.5], {"patience": 5, "mode": "min", "restore_best_weights": True}),
        ([3, 2.9, 2.8, 2.7, 2.6, 2.5], {"patience": 2, "mode": "min", "min_delta": 0.15}),
        ([3, 2.9, 2.8, 2.7, 2.6, 2.5], {"patience": 2, "mode": "min", "baseline": 2.65}),
        ([3, 2.9, 2.8, 2.9, 3.0, 2.5], {"patience": 3, "mode": "min", "baseline": 1, "restore_best_weights": True}),
        ([1, 2, 3, 4, 5, 6], {"patience": 1, "mode": "min", "start_from_epoch": 3, "restore_best_weights": True}),
        ([1, 2, 3, 2, 1, 0], {"patience": 1, "mode": "max", "restore_best_weights": True}),
        ([1, 1, 1, 1], {"mode": "min"}),
        ([float("nan"), 2, 3, 4], {"mode": "min", "patience": 1}),
    ],
)
def test_early_stopping(values, kwargs, verbose, capsys):
    def run(api):
        stop = api.callbacks.EarlyStopping("m", verbose=verbose, **kwargs)
        weights = []
        note = api.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(trained.get_weights()[0]))
        trained = model(api)
        trained.fit(X, Y, epochs=len(values), verbose=0, callbacks=[logs_of(api, values), stop, note])
        end = trained.get_weights()[0]
        restored = [i for i, w in enumerate(weights) if np.allclose(w, end, atol=0)]
        text = capsys.readouterr().out
        told = len(text.splitlines())  # what the lines say is each library's own
        return len(weights), restored, str(stop.best), stop.wait, stop.stopped_epoch, stop.best_epoch, told

    theirs, ours = both(run)
    assert ours == theirs


@pytest.mark.parametrize(
    "kwargs",
    [
        {"patience": 2, "factor": 0.5},
        {"patience": 1, "factor": 0.5, "cooldown": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 1},
        {"patience": 1, "factor": 0.1, "min_lr": 0.05},
        {"patience": 1, "factor": 0.5, "min_delta": 0.15},
        {"patience": 1, "factor": 0.5, "mode": "max"},
    ],
    ids=str,
)
def test_reduce_on_plateau(kwargs, capsys):
    values = [3, 2.9, 2.9, 2.9, 2.8, 2.8, 2.8]

    def run(api):
        reduce = api.callbacks.ReduceLROnPlateau("m", verbose=1, **({"mode": "min"} | kwargs))
        history = model(api, api.optimizers.SGD(1.0)).fit(
            X, Y * 0, epochs=7, verbose=0, callbacks=[logs_of(api, values), reduce]
        )
        rates = [float(np.float32(r)) for r in history.history["learning_rate"]]
        return rates, reduce.best, reduce.wait, reduce.cooldown_counter, reduce.in_cooldown(), capsys.readouterr().out

    theirs, ours = both(run)
    assert ours == theirs


def test_reduce_on_plateau_names_what_has_no_effect():
    with pytest.warns(UserWarning, match="epsilon has no effect"):
        compat.callbacks.ReduceLROnPlateau(epsilon=1.0)


@pytest.mark.parametrize(
    ("metric", "monitor", "way"),
    [
        ("accuracy", "val_accuracy", "greater"), ("mae", "mae", "less"), ("auc", "auc", "greater"),
        ("mae", "loss", "less"), ("kl_divergence", "val_kl_divergence", "less"), ("mae", "other", None),
        (lambda y, p: y, "mae", None),
    ],
)  # fmt: skip
def test_auto_mode_goes_by_the_metric(metric, monitor, way):
    def run(api):
        trained = api.Sequential([api.Input((3,)), api.layers.Dense(1, activation="sigmoid")])
        trained.compile("sgd", "mse", metrics=[api.metrics.AUC(name="auc") if metric == "auc" else metric])
        stop = api.callbacks.EarlyStopping(monitor)
        try:
            trained.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[stop])
        except ValueError:
            return None
        return stop.monitor_op.__name__

    assert both(run) == (way, way)


def test_auto_mode_knows_the_outputs_and_own_metrics():
    class Own(compat.metrics.Mean):
        _direction = "up"

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred)

    i = compat.Input((3,))
    trained = compat.Model(i, [compat.layers.Dense(1, name="a")(i), compat.layers.Dense(1, name="b")(i)])
    trained.compile("sgd", ["mse", "mse"], metrics=[["accuracy"], [Own(name="own")]])
    for monitor, way in (("val_a_accuracy", "greater"), ("b_own", "greater"), ("a_loss", "less")):
        stop = compat.callbacks.EarlyStopping(monitor)
        trained.fit(X, [Y, Y], validation_data=(X, [Y, Y]), verbose=0, callbacks=[stop])
        assert stop.monitor_op.__name__ == way


def test_unknown_mode_and_missing_metric_warn():
    with pytest.warns(UserWarning, match="mode .x. is unknown"):
        assert compat.callbacks.EarlyStopping(mode="x").mode == "auto"
    with pytest.warns(UserWarning, match="did you mean 'loss'"):
        model(compat).fit(X, Y, verbose=0, callbacks=[compat.callbacks.EarlyStopping("val_loss")])


@pytest.mark.parametrize(
    ("path", "kwargs", "per_execution"),
    [
        ("{epoch}.keras", {}, 1),
        ("{epoch}.keras", {"monitor": "m", "mode": "min", "save_best_only": True}, 1),
        ("{epoch}.keras", {"monitor": "m", "mode": "max", "save_best_only": True}, 1),
        ("{epoch}.keras", {"monitor": "m", "mode": "min", "save_best_only": True, "initial_value_threshold": 1.5}, 1),
        ("{epoch:03d}-{m:.2f}-{loss:.3f}.weights.h5", {"save_weights_only": True}, 1),
        ("{epoch}-{batch}.keras", {"save_freq": 3}, 1),
        ("{epoch}-{batch}.keras", {"save_freq": 3}, 2),
        ("{epoch}-{batch}.keras", {"save_freq": 5}, 2),
        ("{epoch}-{batch}-{loss:.2f}.keras", {"save_freq": 3, "save_best_only": True, "monitor": "loss"}, 1),
    ],
    ids=str,
)
def test_model_checkpoint(path, kwargs, per_execution, tmp_path, monkeypatch, capsys):
    def run(api):
        folder = tmp_path / api.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        save = api.callbacks.ModelCheckpoint(pathlib.Path("in") / path, verbose=1, **kwargs)
        trained = model(api, steps_per_execution=per_execution)
        trained.fit(X, Y, batch_size=5, epochs=4, shuffle=False, verbose=0,
                    callbacks=[logs_of(api, [3, 2, 1, 2]), save])  # fmt: skip
        files = sorted(p.name for p in (folder / "in").iterdir())
        return files, save.filepath, str(np.round(save.best or 0, 5)), capsys.readouterr().out

    theirs, ours = both(run)
    assert ours == theirs


def test_model_checkpoint_without_its_metric_saves_all_the_same(tmp_path):
    with pytest.warns(UserWarning, match="saving all the same"):
        model(compat).fit(
            X, Y, verbose=0, callbacks=[compat.callbacks.ModelCheckpoint(tmp_path / "a.keras", save_best_only=True)]
        )
    assert (tmp_path / "a.keras").exists()
    with pytest.raises(KeyError, match="asks for 'foo'; known here are epoch, loss, mae"):
        model(compat).fit(X, Y, verbose=0, callbacks=[compat.callbacks.ModelCheckpoint("{foo}.keras")])


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda c: c.ModelCheckpoint("a"), "keras"),
        (lambda c: c.ModelCheckpoint("a.keras", save_weights_only=True), "weights.h5"),
        (lambda c: c.ModelCheckpoint("a.keras", save_freq="x"), "save_freq"),
        (lambda c: c.BackupAndRestore("a", save_freq="x"), "save_freq"),
        (lambda c: c.OrbaxCheckpoint("a", save_freq="x"), "save_freq"),
        (lambda c: c.BackupAndRestore(""), "(?i)empty"),
        (lambda c: c.ReduceLROnPlateau(factor=1.0), "factor"),
    ],
)
def test_bad_arguments(attempt, message):
    for api in APIS:
        with pytest.raises(ValueError, match=message):
            attempt(api.callbacks)


@pytest.mark.parametrize(
    "schedule",
    [lambda epoch: 0.5 / (epoch + 1), lambda epoch, rate: rate * 0.5, lambda epoch, rate=3: 0.125 * rate,
     lambda epoch: np.float64(0.25), lambda epoch: "a"],
)  # fmt: skip
def test_learning_rate_scheduler(schedule, capsys):
    def run(api):
        set_rate = api.callbacks.LearningRateScheduler(schedule, verbose=1)
        try:
            history = model(api).fit(X, Y, epochs=2, verbose=0, callbacks=[set_rate])
        except ValueError:
            return "ValueError"
        return [float(np.float32(r)) for r in history.history["learning_rate"]], capsys.readouterr().out

    theirs, ours = both(run)
    assert ours == theirs


def test_learning_rate_scheduler_takes_a_schedule_object():
    decay = compat.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    callback = compat.callbacks.LearningRateScheduler(decay)
    rates = model(compat).fit(X, Y, epochs=3, verbose=0, callbacks=[callback]).history["learning_rate"]
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025], rtol=1e-6)


@pytest.mark.parametrize("kwargs", [{}, {"append": True}, {"separator": ";"}], ids=str)
def test_csv_logger(kwargs, tmp_path):
    def run(api):
        path = tmp_path / f"{api.__name__}.csv"
        trained = model(api)
        trained.fit(X, Y, epochs=2, verbose=0, callbacks=[api.callbacks.CSVLogger(path, **kwargs)])
        trained.fit(X, Y, epochs=4, initial_epoch=2, verbose=0, validation_data=(X, Y), validation_freq=2,
                    callbacks=[api.callbacks.CSVLogger(path, **kwargs)])  # fmt: skip
        with open(path, newline="") as file:
            rows = list(csv.reader(file, delimiter=kwargs.get("separator", ",")))
        return [[cell if not cell[:1].isdigit() else round(float(cell), 4) for cell in row] for row in rows]

    theirs, ours = both(run)
    assert ours == theirs
    assert len(ours) == (5 if kwargs.get("append") else 3)


def test_csv_logger_writes_every_kind_of_value(tmp_path):
    def run(api):
        class Odd(api.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                logs.clear()
                logs |= {"arr": np.array([1.0, 2.0]), "s": "a,b", "i": 3, "none": None, "z": np.array(3.0)}
                if epoch == 1:
                    logs |= {"late": 1}
                    del logs["i"]

        path = tmp_path / f"{api.__name__}.csv"
        model(api).fit(X, Y, epochs=3, verbose=0, callbacks=[Odd(), api.callbacks.CSVLogger(path)])
        return path.read_bytes()

    theirs, ours = both(run)
    assert ours == theirs


def test_lambda_callback_and_what_it_does_not_know():
    seen = []
    callback = compat.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"),
        on_epoch_end=lambda epoch, logs: seen.append(epoch),
        on_test_batch_end=lambda batch, logs: seen.append(f"test {batch}"),
    )
    model(compat).fit(X, Y, epochs=2, verbose=0, validation_data=(X[:5], Y[:5]), callbacks=[callback])
    assert seen == ["begin", "test 0", 0, "test 0", 1]
    with pytest.raises(TypeError, match="no method 'on_foo'"):
        compat.callbacks.LambdaCallback(on_foo=print)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_swap_ema_weights(swap_on_epoch):
    def run(api):
        trained = model(api, api.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
        out = []

        class Weights(api.callbacks.Callback):
            def note(self, *args, **kwargs):
                out.append(float(self.model.get_weights()[0].sum()))

            on_epoch_begin = on_epoch_end = on_test_begin = on_test_end = on_train_end = note

        callbacks = [api.callbacks.SwapEMAWeights(swap_on_epoch), Weights()]
        trained.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0, validation_data=(X, Y), callbacks=callbacks)
        return out

    theirs, ours = both(run)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert len(set(np.round(ours, 5))) > 3


def test_swap_ema_weights_needs_an_average():
    with pytest.raises(ValueError, match="use_ema=True"):
        model(compat).evaluate(X, Y, verbose=0, callbacks=[compat.callbacks.SwapEMAWeights()])


def test_swapped_weights_stay_usable_and_predict_with_the_average():
    swap = compat.callbacks.SwapEMAWeights(swap_on_epoch=True)
    trained = model(compat, compat.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    trained.fit(X, Y, batch_size=5, epochs=2, verbose=0, callbacks=[swap])
    before = trained.get_weights()[0].copy()
    trained.predict(X, verbose=0, callbacks=[swap])
    np.testing.assert_array_equal(trained.get_weights()[0], before)
    trained.fit(X, Y, epochs=1, verbose=0, callbacks=[swap])
    assert np.isfinite(trained.get_weights()[0]).all()


def test_remote_monitor(monkeypatch):
    sent = []

    def run(api):
        import requests

        monkeypatch.setattr(requests, "post", lambda url, data=None, **kwargs: sent.append((url, data, kwargs)))
        sent.clear()
        for kwargs in ({}, {"root": "http://h", "path": "/p/", "field": "f", "headers": {"X": "1"}}):
            for send_as_json in (False, True):
                monitor = api.callbacks.RemoteMonitor(send_as_json=send_as_json, **kwargs)
                model(api).fit(X, Y, epochs=2, verbose=0, callbacks=[monitor])
        shown = []
        for url, data, kwargs in sent:
            body = kwargs.get("json") or json.loads(next(iter(data.values())))
            field = None if "json" in kwargs else next(iter(data))
            shown.append((url, kwargs["headers"], field, body["epoch"], sorted(body)))
        return shown

    theirs, ours = both(run)
    assert ours == theirs
    assert len(ours) == 8


def test_remote_monitor_warns_if_nobody_answers():
    monitor = compat.callbacks.RemoteMonitor(root="http://127.0.0.1:1")
    with pytest.warns(UserWarning, match="could not reach"):
        model(compat).fit(X, Y, verbose=0, callbacks=[monitor])


def test_lambda_callback_keeps_other_arguments_and_refuses_misspelt_methods():
    assert compat.callbacks.LambdaCallback(custom_method="kept").custom_method == "kept"
    with pytest.raises(TypeError, match="did you mean 'on_epoch_end'"):
        compat.callbacks.LambdaCallback(on_epoch_ends=lambda epoch, logs: None)
