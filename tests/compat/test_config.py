"""Settings of the process do what they say; `Progbar` shows what Keras's shows."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
import traceback

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

import compat
from tests.compat.callback_tools import X, Y, model

APIS = (keras, compat)


@pytest.fixture(autouse=True)
def settings():
    """Every test leaves both APIs' settings as they were."""
    yield
    for api in APIS:
        api.config.set_max_epochs(None)
        api.config.set_max_steps_per_epoch(None)
        api.config.enable_interactive_logging()
        api.config.enable_traceback_filtering()
        api.config.enable_flash_attention()


def _names(api):
    return {n for n in dir(api.config) if not n.startswith("_") and inspect.isfunction(getattr(api.config, n))}


def test_names_and_signatures():
    assert _names(compat) == _names(keras)
    for name in _names(keras):
        theirs, ours = (list(inspect.signature(getattr(api.config, name)).parameters) for api in APIS)
        assert ours == theirs, name
    for name in ("enable_interactive_logging", "disable_interactive_logging", "is_interactive_logging_enabled"):
        assert getattr(compat.utils, name) is getattr(compat.config, name)


def test_defaults():
    for name in ("is_flash_attention_enabled", "is_interactive_logging_enabled", "is_traceback_filtering_enabled",
                 "is_nnx_enabled", "max_epochs", "max_steps_per_epoch", "backend"):  # fmt: skip
        assert getattr(compat.config, name)() == getattr(keras.config, name)(), name


@pytest.mark.filterwarnings("ignore:(?i)limiting", "ignore:.shuffle=True. was passed")
def test_limits():
    def endless():
        while True:
            yield X[:2], Y[:2]

    def run(api):
        batches = []
        note = api.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: batches.append(batch),
            on_test_batch_end=lambda batch, logs: batches.append(-batch),
        )
        api.config.set_max_epochs(2)
        api.config.set_max_steps_per_epoch(3)
        found = [api.config.max_epochs(), api.config.max_steps_per_epoch()]
        history = model(api).fit(X, Y, batch_size=2, epochs=5, verbose=0, validation_data=(X, Y), callbacks=[note])
        model(api).evaluate(X, Y, batch_size=2, verbose=0, callbacks=[note])
        found += [len(history.history["loss"]), history.params, batches]
        found.append(model(api).predict(X, batch_size=2, verbose=0).shape)
        history = model(api).fit(endless(), steps_per_epoch=7, epochs=5, verbose=0)
        return [*found, len(history.history["loss"]), history.params]

    assert run(compat) == run(keras)


def test_limits_warn_only_where_they_limit():
    compat.config.set_max_epochs(2)
    compat.config.set_max_steps_per_epoch(50)
    assert len(model(compat).fit(X, Y, epochs=2, verbose=0).history["loss"]) == 2
    with pytest.warns(UserWarning, match="limiting epochs to 2"):
        model(compat).fit(X, Y, epochs=3, verbose=0)
    for bad in (-1, "a", 1.5, True):
        with pytest.raises(ValueError, match="whole number"):
            compat.config.set_max_epochs(bad)
    with pytest.raises(ValueError, match="at least 1"):
        compat.config.set_max_steps_per_epoch(0)


def test_limits_from_the_environment():
    script = "import compat; print(compat.config.max_epochs(), compat.config.max_steps_per_epoch())"
    env = os.environ | {"KERAS_MAX_EPOCHS": "3", "KERAS_MAX_STEPS_PER_EPOCH": "4"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env)
    assert done.stdout.split() == ["3", "4"], done.stderr


def test_set_backend():
    compat.config.set_backend("jax")
    with pytest.raises(ValueError, match="models run on JAX"):
        compat.config.set_backend("torch")
    with pytest.raises(ValueError, match="did you mean 'tensorflow'"):
        compat.config.set_backend("tensorflwo")


def test_unsafe_deserialization_stays_impossible():
    with pytest.warns(UserWarning, match="no effect"):
        compat.config.enable_unsafe_deserialization()


def test_flash_attention():
    q = np.random.default_rng(0).normal(size=(1, 4, 2, 8)).astype("float32")
    plain = compat.ops.dot_product_attention(q, q, q)
    compat.config.disable_flash_attention()
    assert compat.config.is_flash_attention_enabled() is False
    without = compat.layers.MultiHeadAttention(2, 8)
    np.testing.assert_allclose(compat.ops.dot_product_attention(q, q, q), plain, rtol=1e-5, atol=1e-6)
    compat.config.enable_flash_attention()
    assert compat.config.is_flash_attention_enabled() is None
    with_it = compat.layers.MultiHeadAttention(2, 8)
    assert without.definition.flash_attention is False
    assert with_it.definition.flash_attention is None
    assert "flash_attention" not in without.get_config()
    a, b = (layer(q[:, :, 0], q[:, :, 0]) for layer in (without, with_it))
    with_it.set_weights(without.get_weights())
    np.testing.assert_allclose(with_it(q[:, :, 0], q[:, :, 0]), a, rtol=1e-5, atol=1e-6)
    assert a.shape == b.shape


def _frames(call):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is not what is looked at
        call()
    return [os.path.basename(f.filename) for f in traceback.extract_tb(caught.value.__traceback__)]


@pytest.mark.parametrize(
    "call", [lambda api: model(api)(np.ones((2, 4))), lambda api: model(api).fit(np.ones((2, 4)), Y[:2], verbose=0)]
)
def test_traceback_filtering(call):
    lengths = {}
    for api in APIS:
        filtered = _frames(lambda api=api: call(api))
        api.config.disable_traceback_filtering()
        assert not api.config.is_traceback_filtering_enabled()
        whole = _frames(lambda api=api: call(api))
        api.config.enable_traceback_filtering()
        lengths[api.__name__] = len(filtered)
        assert len(whole) > len(filtered) + 3
        assert filtered[:2] == whole[:2] == ["test_config.py"] * 2
    assert lengths["compat"] <= lengths["keras"]


def test_traceback_filtering_keeps_the_users_frames():
    class Mine(compat.layers.Layer):
        def call(self, x):
            return self.helper(x)

        def helper(self, x):
            raise ValueError("mine")

    frames = _frames(lambda: compat.Sequential([Mine()])(X))
    assert frames.count("test_config.py") == 4  # the test's call, its lambda, `call` and `helper`
    assert len(frames) == 4


def test_interactive_logging(capsys, caplog):
    import logging

    compat.config.disable_interactive_logging()
    assert not compat.config.is_interactive_logging_enabled()
    with caplog.at_level(logging.INFO, logger="absl"):
        model(compat).fit(
            X, Y, epochs=2, verbose=2, callbacks=[compat.callbacks.LearningRateScheduler(lambda e: 0.1, verbose=1)]
        )
        model(compat).evaluate(X, Y, verbose=1)
    assert capsys.readouterr().out == ""
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "Epoch 1: LearningRateScheduler setting learning rate to 0.1." in text
    assert len(re.findall(r"1/1 .*loss: 0\.\d+ - mae", text)) == 3
    compat.config.enable_interactive_logging()
    model(compat).fit(X, Y, verbose=2)
    assert "loss" in capsys.readouterr().out


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _shown(call, last=False):
    """What a terminal shows, drawing by drawing or only the last drawing of each line; times made equal."""
    with contextlib.redirect_stdout(_Terminal()) as out:
        call()
    text = out.getvalue().replace("\x08", "").replace("\x1b[32m\x1b[0m", "")
    text = re.sub(r"\d+(s|ms|us)\b", "T", text)
    lines = [line.split("\r")[-1:] if last else line.split("\r") for line in text.split("\n")]
    return [part.rstrip() for line in lines for part in line if part.strip()]


def test_progbar_signature():
    theirs, ours = (inspect.signature(api.utils.Progbar.__init__).parameters.values() for api in APIS)
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize(
    ("target", "updates", "kwargs"),
    [
        (3, [(1,), (2,), (3,)], {}),
        (3, [(1, [("a", 1.0)]), (2, [("a", 2.0)]), (3, [("a", 6.0)])], {}),
        (9, [(1, [("a", 1.0), ("b", 1)]), (4, [("a", 2.0), ("b", 2)]), (6, [("a", 6.0)])], {"stateful_metrics": ["a"]}),
        (9, [(1, [("a", 1.0), ("b", 1)]), (4, [("a", 2.0), ("b", 2)])], {"stateless_metrics": ["a"]}),
        (None, [(1, [("a", 1.0)]), (2,), (5, None, True)], {}),
        (3, [(1, [("a", 1.0)]), (3, [("a", 6.0)])], {"verbose": 2}),
        (3, [(1, [("a", 1.0)]), (3, [("a", 6.0)])], {"verbose": 0}),
        (12, [(1, [("x", 1e-5)]), (6, [("x", 12345.678)]), (12, [("x", 1)])], {"width": 7, "unit_name": "epoch"}),
        (5, [(2, [("x", 1)], True)], {}),
        (2, [(1, [("x", 0.0)]), (2, [("x", np.array([1.0, 2.0]))])], {}),
        (30, [(i,) for i in range(1, 31)], {"interval": 10}),
    ],
    ids=str,
)
def test_progbar(target, updates, kwargs):
    def run(api):
        bar = api.utils.Progbar(target, **({"interval": 0} | kwargs))
        for update in updates:
            bar.update(*update)

    assert _shown(lambda: run(compat)) == _shown(lambda: run(keras))


def test_progbar_add():
    def run(api):
        bar = api.utils.Progbar(3, interval=0)
        bar.add(1)
        bar.add(2, [("x", 3.0)])

    assert _shown(lambda: run(compat)) == _shown(lambda: run(keras))


@pytest.mark.parametrize("verbose", [1, 2])
def test_what_fit_shows_at_the_end_of_epochs(verbose):
    def run(api):
        trained = model(api)
        trained.fit(X, Y, batch_size=4, epochs=3, initial_epoch=1, shuffle=False, verbose=verbose,
                    validation_data=(X, Y), validation_freq=2)  # fmt: skip
        trained.evaluate(X, Y, batch_size=4, verbose=verbose)
        trained.predict(X, batch_size=4, verbose=verbose)

    assert _shown(lambda: run(compat), last=True) == _shown(lambda: run(keras), last=True)


def test_a_file_gets_only_the_last_state(capsys):
    model(compat).fit(X, Y, batch_size=4, epochs=1)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\r" not in out
    assert out.count("\n") == 1
    assert out.startswith("5/5 ━━━━━━━━━━━━━━━━━━━━ ")
