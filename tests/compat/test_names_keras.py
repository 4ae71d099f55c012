"""Signatures and configs of losses, metrics, initializers, optimizers and the like are Keras's."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import importlib
import inspect
import json
import random

import keras
import numpy as np
import pytest

import compat

MODULES = (
    "losses", "metrics", "initializers", "activations", "regularizers", "constraints", "optimizers",
    "optimizers.schedules", "tree",
)  # fmt: skip
BASES = {"Optimizer", "Loss", "Metric", "Initializer", "Regularizer", "Constraint", "LearningRateSchedule"}

# Values for arguments without a default, and others than the default.
NEEDED = {
    "num_classes": 3, "target_class_ids": [0, 1], "recall": 0.5, "precision": 0.5, "specificity": 0.5,
    "sensitivity": 0.5, "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "boundaries": [1, 2],
    "values": [0.1, 0.2, 0.3], "first_decay_steps": 5,
}  # fmt: skip
OTHER = {
    "name": "named", "seed": 7, "dtype": "float16", "reduction": "sum", "axis": 0, "from_logits": True,
    "clipnorm": 1.0, "weight_decay": 0.1, "use_ema": True, "ema_momentum": 0.5, "thresholds": [0.2, 0.7], "top_k": 3,
    "class_id": 1, "num_thresholds": 50, "curve": "PR", "multi_label": True, "average": "micro", "threshold": 0.4,
    "gamma": 3.0, "delta": 0.7, "l1": 0.2, "l2": 0.3, "max_value": 3, "stddev": 0.2, "mean": 0.1, "minval": -0.2,
    "maxval": 0.3, "gain": 2.0, "factor": 0.2, "sparse_y_true": False, "ignore_class": 1, "staircase": True,
    "power": 2.0, "cycle": True, "warmup_target": 0.2, "warmup_steps": 3, "t_mul": 3.0, "m_mul": 0.5, "momentum": 0.8,
    "nesterov": True, "amsgrad": True, "centered": True, "exclude_layers": ["a"], "loss_scale_factor": 4.0,
    "gradient_accumulation_steps": 2, "ema_overwrite_frequency": 3, "side": "imag", "window": "hamming",
    "scaling": None, "periodic": True, "input_axes": None, "distribution": "uniform",
}  # fmt: skip

# What Keras's configs lose, and ours keep where it is not at its default.
KEPT = {"dtype", "axis", "delta", "gain"}


def _public(module):
    theirs = importlib.import_module(f"keras.{module}")
    return [n for n in dir(theirs) if not n.startswith("_") and callable(getattr(theirs, n))]


PUBLIC = [(m, n) for m in MODULES for n in _public(m)]


def _get(api, module, name):
    return getattr(importlib.import_module(f"{api.__name__}.{module}"), name)


def _parameters(callable_):
    found = inspect.signature(callable_).parameters.values()
    return [(p.name, p.default, p.kind) for p in found]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_signature(module, name):
    try:
        expected = _parameters(_get(keras, module, name))
    except ValueError:  # a builtin without one
        return
    assert _parameters(_get(compat, module, name)) == expected


def _made(api, module, name, arguments):
    api.utils.clear_session(free_memory=False)
    random.seed(0)
    given = dict(arguments)
    if "inner_optimizer" in given:
        given["inner_optimizer"] = api.optimizers.SGD(0.1)
    if "fn" in given:
        given["fn"] = api.losses.mean_squared_error
    return _get(api, module, name)(**given)


def _cases():
    for module, name in PUBLIC:
        cls = _get(keras, module, name)
        if not isinstance(cls, type) or name in BASES or module in ("activations", "tree"):
            continue
        parameters = inspect.signature(cls).parameters.values()
        needed = {
            p.name: NEEDED.get(p.name) for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD
        }
        if set(needed) & {"optimizer_map", "default_optimizer"}:
            continue
        yield pytest.param(module, name, needed, id=f"{module}.{name}")
        for p in parameters:
            if p.name in OTHER and p.name not in needed:
                yield pytest.param(module, name, needed | {p.name: OTHER[p.name]}, id=f"{module}.{name}-{p.name}")


@pytest.mark.parametrize(("module", "name", "arguments"), list(_cases()))
def test_config(module, name, arguments):
    try:
        expected = _made(keras, module, name, arguments).get_config()
    except (TypeError, ValueError):  # the argument alone means nothing
        with pytest.raises((TypeError, ValueError)):
            _made(compat, module, name, arguments)
        return
    made = _made(compat, module, name, arguments)
    found = json.loads(json.dumps(made.get_config()))
    expected = json.loads(json.dumps(expected))
    extra = {k: v for k, v in found.items() if k not in expected}
    assert extra.keys() <= KEPT
    assert all(arguments[k] == v for k, v in extra.items())
    assert {k: v for k, v in found.items() if k in expected} == expected
    again = type(made).from_config(made.get_config())
    assert json.loads(json.dumps(again.get_config())) == found


def test_names_are_numbered_as_in_keras():
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        metrics = api.metrics
        made = [
            metrics.AUC(), metrics.AUC(), metrics.Precision(), metrics.get("precision"), metrics.MeanIoU(2),
            metrics.get("mse"), metrics.MeanSquaredError(), api.optimizers.Adam(), api.optimizers.get("adam"),
            api.optimizers.RMSprop(), api.losses.MeanSquaredError(), api.losses.Huber(),
        ]  # fmt: skip
        found.append([m.name for m in made])
    assert found[0] == found[1]


def test_logs_are_named_as_in_keras():
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        model = api.Sequential([api.Input((3,)), api.layers.Dense(1, "sigmoid")])
        metrics = ["AUC", "Precision", api.metrics.Recall(), "accuracy", "mse"]
        model.compile("sgd", "binary_crossentropy", metrics=metrics)
        history = model.fit(np.ones((4, 3)), np.array([0, 1, 1, 0.0]), verbose=0).history
        found.append(sorted(history))
    assert found[0] == found[1]


def test_functions_of_losses_are_written_as_in_keras():
    for name in ("mean_squared_error", "binary_crossentropy"):
        ours, theirs = getattr(compat.losses, name), getattr(keras.losses, name)
        assert compat.losses.serialize(ours) == keras.losses.serialize(theirs)
        assert compat.metrics.serialize(ours) == keras.metrics.serialize(theirs)
        assert compat.losses.deserialize(keras.losses.serialize(theirs)) is ours


@pytest.mark.parametrize("side", ["real", "imag"])
@pytest.mark.parametrize("window", ["hann", "hamming", None, "values"])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
def test_stft_initializer(side, window, scaling):
    window = np.arange(1.0, 9.0) if isinstance(window, str) and window == "values" else window
    for periodic in (False, True):
        ours = compat.initializers.STFT(side, window, scaling, periodic)((8, 1, 9))
        theirs = keras.initializers.STFT(side, window, scaling, periodic)((8, 1, 9))
        np.testing.assert_allclose(ours, theirs, atol=2e-5)  # Keras computes the angles in float32
    assert isinstance(compat.initializers.get("stft"), compat.initializers.STFTInitializer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compat.initializers.STFT("left"), "side 'real' or 'imag'"),
        (lambda: compat.initializers.STFT(window="hanning window"), "(?i)window"),
        (lambda: compat.initializers.STFT(scaling="x"), "scaling 'density'"),
        (lambda: compat.initializers.STFT()((8, 9)), "shape .frame, 1, bins."),
        (lambda: compat.initializers.STFT(window=[1.0])((8, 1, 9)), "a value a frame"),
        (lambda: compat.initializers.HeNormal(input_axes=[0]), "both of input_axes and output_axes"),
        (lambda: compat.initializers.HeNormal(None, [0], [4])((2, 3)), "not all axes"),
    ],
)
def test_initializers_name_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("axes", [([0], [1]), ([0, 1], [2, 3]), ([-1], [-2]), ((0, 1), (1, 2))])
@pytest.mark.parametrize("name", ["GlorotUniform", "HeNormal", "LecunUniform", "VarianceScaling"])
def test_axes_of_fans(name, axes):
    ours = getattr(compat.initializers, name)(seed=1, input_axes=axes[0], output_axes=axes[1])((2, 3, 5, 7))
    theirs = getattr(keras.initializers, name)(seed=1, input_axes=axes[0], output_axes=axes[1])((2, 3, 5, 7))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_serialize_and_deserialize():
    for module, name in (("regularizers", "L2"), ("constraints", "MaxNorm"), ("dtype_policies", "DTypePolicy")):
        ours, theirs = (importlib.import_module(f"{api.__name__}.{module}") for api in (compat, keras))
        arguments = {"L2": (0.1,), "MaxNorm": (3,), "DTypePolicy": ("mixed_float16",)}[name]
        data = theirs.serialize(getattr(theirs, name)(*arguments))
        assert ours.serialize(getattr(ours, name)(*arguments)) == data
        assert ours.deserialize(data).get_config() == data["config"]
    assert isinstance(compat.regularizers.deserialize("l2"), compat.regularizers.L2)
    for dtype in ("bfloat16", "float8_e4m3fn", "uint8", "bool", "int64", None, np.float32):
        assert compat.backend.is_float_dtype(dtype) == keras.backend.is_float_dtype(dtype)
        assert compat.backend.is_int_dtype(dtype) == keras.backend.is_int_dtype(dtype)
    assert compat.version() == keras.version()
