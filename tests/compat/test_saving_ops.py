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
    "abs": lambda ops, x: ops.abs(x - 1),
    "amax": lambda ops, x: ops.amax(x, 1),
    "amin": lambda ops, x: ops.amin(x, 1),
    "conjugate": lambda ops, x: ops.conjugate(x),
    "bitwise_invert": lambda ops, x: ops.bitwise_invert(ops.cast(x, "int32")),
    "left_shift": lambda ops, x: ops.left_shift(ops.cast(x, "int32"), 2),
    "right_shift": lambda ops, x: ops.right_shift(ops.cast(8 * x, "int32"), 2),
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
TYPED = {  # each class of Keras whose constructor takes a dtype, by the class's name
    "Array": lambda ops, x: ops.array(x, dtype="float16"),
    "Cast": lambda ops, x: ops.cast(x, "int32"),
    "ConvertToTensor": lambda ops, x: ops.convert_to_tensor(x, "float16"),
    "Cumprod": lambda ops, x: ops.cumprod(x, 1, dtype="float16"),
    "Cumsum": lambda ops, x: ops.cumsum(x, 1, dtype="float16"),
    "EmptyLike": lambda ops, x: ops.empty_like(x, dtype="int32") * 0,
    "Full": lambda ops, x: ops.full((2, 3), ops.max(x), dtype="float16"),
    "FullLike": lambda ops, x: ops.full_like(x, 3.0, dtype="int32"),
    "Geomspace": lambda ops, x: ops.geomspace(x, x + 1, num=3, dtype="float32", axis=1),
    "Linspace": lambda ops, x: ops.linspace(x, x + 1, num=3, dtype="float32", axis=1),
    "Logspace": lambda ops, x: ops.logspace(x, x + 1, num=3, dtype="float32", axis=1),
    "MultiHot": lambda ops, x: ops.multi_hot(ops.cast(x, "int32"), 4, dtype="int32"),
    "Nancumprod": lambda ops, x: ops.nancumprod(x, 1, dtype="float16"),
    "Nancumsum": lambda ops, x: ops.nancumsum(x, 1, dtype="float16"),
    "OneHot": lambda ops, x: ops.one_hot(ops.cast(x, "int32"), 4, dtype="int32"),
    "OnesLike": lambda ops, x: ops.ones_like(x, dtype="int32"),
    "Prod": lambda ops, x: ops.prod(x, axis=1, dtype="float32"),
    "SaturateCast": lambda ops, x: ops.saturate_cast(100 * x, "uint8"),
    "View": lambda ops, x: ops.view(x, dtype="int32"),
    "ZerosLike": lambda ops, x: ops.zeros_like(x),
}


def test_every_class_with_a_dtype_is_among_those_that_are_tried():
    classes = {name: _class(op) for name, op in OP_OF_CLASS.items() if _class(op)}
    typed = {n for n, c in classes.items() if "dtype" in inspect.signature(c.__init__).parameters}
    assert typed == TYPED.keys() | {"Arange"}, "Keras makes no symbolic Arange"


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("writer", ["compat", "keras"])
@pytest.mark.parametrize("name", [*MODELS, *TYPED])
def test_ops_in_files_go_both_ways(name, writer, ending, tmp_path):
    apis = {"compat": compat, "keras": keras}
    for api in apis.values():
        api.saving.register_keras_serializable("ops")(double)
    given = apis[writer].Input((3, 4))
    model = apis[writer].Model(given, (MODELS | TYPED)[name](apis[writer].ops, given))
    path = tmp_path / f"m{ending}"
    model.save(path)
    expected = np.asarray(model(X))
    for api in [compat] if (writer, ending) == ("keras", ".h5") else apis.values():  # Keras reads no op of its own .h5
        loaded = api.models.load_model(path)
        found = np.asarray(loaded(X))
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_layer_of_the_users_with_an_ops_name_stays_a_layer(tmp_path):
    """Files of the older format leave the module out, and layers of the user's may leave out what Keras's have."""

    class Cast(compat.layers.Layer):
        def call(self, x):
            return x + 1

        def get_config(self):
            return {"name": self.name}

    given = compat.Input((3, 4))
    path = tmp_path / "m.h5"
    compat.Model(given, Cast()(given)).save(path)
    loaded = compat.models.load_model(path, custom_objects={"Cast": Cast})
    np.testing.assert_allclose(np.asarray(loaded(X)), X + 1)
