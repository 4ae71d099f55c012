"""Definitions: normalized, compared and hashed by value, printed, pickled, written as JSON."""

from __future__ import annotations

import json
import pickle
from typing import Any

import jax
import numpy as np
import pytest

import kfun
from kfun import initializers, layers
from kfun.definition import Definition, FrozenDict, from_config


class Holder(Definition):
    """Any value."""

    value: Any
    rate: float = 0.5


def test_types_of_equal_value_are_told_apart():
    assert len({Holder(1), Holder(1.0), Holder(True), Holder("1")}) == 4
    assert Holder([1, [2]]) == Holder((1, (2,)))
    assert Holder({"a": [1]}) == Holder({"a": (1,)})
    assert Holder(0, rate=1) == Holder(0, rate=1.0)
    assert Holder(float("nan")) == Holder(float("nan"))
    assert Holder(np.ones(2)) != Holder(np.zeros(2))


def test_hash_is_one_trace_per_value():
    traces = []

    @jax.jit
    def run(x):
        return x

    def count(definition, x):
        traces.append(definition)
        return run(x)

    jitted = jax.jit(count, static_argnums=0)
    for d in (layers.Dense(4), layers.Dense(np.int64(4)), layers.Dense(4, activation="linear")):
        jitted(d, 1.0)
    assert len(traces) == 1
    jitted(layers.Dense(5), 1.0)
    assert len(traces) == 2


def test_round_trips():
    net = kfun.Sequential(
        [layers.Dense(4, "relu", kernel_initializer=initializers.VarianceScaling(2.0)), kfun.Stack(layers.Dense(4), 3)],
        name="net",
    )
    for copy in (pickle.loads(pickle.dumps(net)), from_config(json.loads(json.dumps(net.to_config())))):
        assert copy == net
        assert hash(copy) == hash(net)
    assert repr(layers.Dense(4, "relu")) == "Dense(4, activation='relu')"


def test_frozen():
    with pytest.raises(AttributeError):
        layers.Dense(4).units = 5
    with pytest.raises(TypeError, match="replace"):
        FrozenDict(a=1)["a"] = 2
    assert layers.Dense(4).replace(units=5) == layers.Dense(5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "kfun.layers>Dens", "config": {}}, "did you mean 'kfun.layers>Dense'"),
        ({"class_name": "os>system", "config": {}}, "unknown class"),
        ({"class_name": "kfun.layers>Dense", "config": {"unit": 3}}, "did you mean 'units'"),
        (
            {"class_name": "kfun.layers>Dense", "config": {"units": 3, "activation": {"function": "eval"}}},
            "unknown function",
        ),
        ("text", "expected"),
    ],
)
def test_bad_json_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        from_config(config)


def test_a_lambda_is_no_json():
    with pytest.raises(ValueError, match="register_function"):
        layers.Dense(3, activation=lambda x: x).to_config()


def test_same_names_in_two_families():
    for d in (
        initializers.Identity(),
        layers.Identity(),
        kfun.losses.MeanSquaredError(),
        kfun.metrics.MeanSquaredError(),
    ):
        assert type(from_config(d.to_config())) is type(d)
