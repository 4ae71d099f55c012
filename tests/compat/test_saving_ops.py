"""Ops in the files of functional models: what Keras keeps in a call and what in a config, both ways."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import importlib
import inspect

import keras
import numpy as np
import pytest

import compat
from compat.serialization.op_classes import OP_OF_CLASS, class_name, in_call, module_of
from kfun.ops._dispatch import OPS

X = np.linspace(0.1, 2, 24, dtype="float32").reshape(2, 3, 4)
GONE = {"layer_normalization": {"rms_scaling"}}  # settings of Keras that it deprecates


def _class(op):
    return getattr(importlib.import_module(module_of(op)), class_name(op), None)


@pytest.mark.parametrize("op", sorted(n for n in OP_OF_CLASS.values() if n != "convert_to_numpy" and _class(n)))
def test_arguments_are_kept_where_keras_keeps_them(op):
    cls, parameters = _class(op), inspect.signature(OPS[op].public).parameters
    config = set(inspect.signature(cls.__init__).parameters) - {"self", "name", "args", "kwargs"}
    given = [n for n in inspect.signature(cls.call).parameters if n not in ("self", "kwargs")]
    varied = {n for n, p in parameters.items() if p.kind is inspect.Parameter.VAR_POSITIONAL}
    assert {n for n in parameters if not in_call(op, n)} - varied == config - GONE.get(op, set())
    assert len([n for n in parameters if in_call(op, n) or n in varied]) == len(given)


def double(row):
    return row * 2


MODELS = {
    "vectorized_map": lambda ops, x: ops.vectorized_map(double, x),
    "map": lambda ops, x: ops.map(double, x),
    "slice": lambda ops, x: ops.slice(x, (0, 1, 0), (2, 2, 3)),
    "slice_update": lambda ops, x: ops.slice_update(x, (0, 1, 0), x[:, :1]),
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 0), (0, 2)), constant_values=3.0),
    "einsum": lambda ops, x: ops.einsum("bij,bkj->bik", x, x),
    "full_like": lambda ops, x: ops.full_like(x, 3.0),
    "isclose": lambda ops, x: ops.cast(ops.isclose(x, x + 0.1, rtol=0.1), "float32"),
    "linspace": lambda ops, x: ops.linspace(x, x + 1, num=3, axis=1),
    "trapezoid": lambda ops, x: ops.trapezoid(x, dx=0.5, axis=1),
    "clip": lambda ops, x: ops.clip(x, 0.5, 1.0),
    "attention": lambda ops, x: ops.dot_product_attention(x[:, None], x[:, None], x[:, None], scale=0.3),
    "getitem": lambda ops, x: x[:, 1:, ::2],
    "stop_gradient": lambda ops, x: ops.stop_gradient(x),
    "unstack": lambda ops, x: ops.unstack(x, num=3, axis=1)[1],
}


@pytest.mark.parametrize("writer", ["compat", "keras"])
@pytest.mark.parametrize("name", MODELS)
def test_ops_in_files_go_both_ways(name, writer, tmp_path):
    apis = {"compat": compat, "keras": keras}
    for api in apis.values():
        api.saving.register_keras_serializable("ops")(double)
    given = apis[writer].Input((3, 4))
    model = apis[writer].Model(given, MODELS[name](apis[writer].ops, given))
    model.save(tmp_path / "m.keras")
    expected = np.asarray(model(X))
    for api in apis.values():
        loaded = api.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(np.asarray(loaded(X)), expected, rtol=1e-5, atol=1e-6)
