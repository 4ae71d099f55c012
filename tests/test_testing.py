"""`check_op` passes what is right and fails, by name, on each thing that can be wrong."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kfun import ops
from kfun.ops import _dispatch, _kinds
from kfun.ops._kinds import Kind, register
from kfun.testing import check_op, installed_backends

X = np.float32([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def fails(match, op, *args, **options):
    with pytest.raises(AssertionError, match=match):
        check_op(op, *args, **{"backends": ("jax",), **options})


def test_a_right_op_passes_everywhere():
    def scaled(x):
        return ops.multiply(ops.tanh(x), 2.0)

    backends = [b for b in installed_backends() if b in ("jax", "numpy", "openvino", "onnx")]
    check_op(scaled, X, reference=lambda x: np.tanh(x) * 2, backends=backends)


def test_wrong_value():
    def off(x):
        return ops.add(ops.exp(x), 1e-3)

    fails(r"ops\.off on jax: value: max difference 0\.00100.*at index \(0, 0\)", off, X, reference=np.exp)


def test_wrong_value_in_one_place_of_a_later_result():
    def pair(x):
        return x, ops.where(np.arange(6).reshape(2, 3) == 4, 7.0, x)

    fails(r"value of result 1: max difference 6\.75.*index \(1, 1\)", pair, X, reference=lambda x: (x, x))


def test_wrong_integers_are_not_hidden_by_tolerances():
    x = np.int32([1_000_000, 5])
    fails("max difference 1", lambda x: ops.add(x, 1), x, reference=lambda x: x)


def test_nan_where_a_number_is_due():
    fails("expected 0.5, received nan", lambda x: ops.where(ops.greater(x, 0), np.nan, x), X, reference=lambda x: x)


def test_wrong_dtype():
    fails("dtype: expected float32; received float16", lambda x: ops.cast(x, "float16"), X, reference=lambda x: x)
    fails("dtype: expected int32; received float32", ops.negative, X, reference=np.negative, dtype="int32")


def test_wrong_shape_even_if_it_broadcasts():
    def kept(x):
        return ops.sum(x, -1, True)

    fails(r"shape: expected \(2,\); received \(2, 1\)", kept, X, reference=lambda x: x.sum(-1))


def test_wrong_number_of_results():
    fails("expected 1 results; received 2", lambda x: (x, x), X, reference=lambda x: x)


def test_wrong_gradient():
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x) * 1.01,))
    fails("gradient of array 0 against differences", sine, X, reference=np.sin)
    check_op(sine, X, reference=np.sin, backends=("jax",), grad=False)


def test_wrong_gradient_of_the_second_argument():
    def product(x, y):
        return ops.multiply(x, ops.add(y, ops.stop_gradient(ops.multiply(y, 0.0))))

    def stopped(x, y):
        return ops.multiply(x, ops.stop_gradient(y))

    check_op(product, X, X + 1, reference=np.multiply, backends=("jax",))
    fails("gradient of array 1", stopped, X, X + 1, reference=np.multiply)
    check_op(stopped, X, X + 1, reference=np.multiply, backends=("jax",), grad=(0,))


def test_compiled_differs_from_eager():
    def peeking(x):
        return x if isinstance(x, jax.core.Tracer) else ops.negative(x)

    fails("jit: max difference", peeking, X, reference=np.negative, vmap=False, grad=False)


def test_vectorized_differs_from_the_loop():
    calls = []

    def stateful(x):
        calls.append(x)
        return ops.add(x, float(len(calls) > 3))

    fails("vmap: max difference", stateful, X, reference=lambda x: x, jit=False, grad=False)


def test_the_reference_is_jax_if_there_is_none():
    check_op(ops.softmax, X, kwargs={"axis": 0}, backends=("numpy",))


class Boxed:
    def __init__(self, data):
        self.data = np.asarray(data)
        self.dtype = self.data.dtype


def _boxed(name, exp):
    """The kind of a third party's backend, with a right or wrong rule for `exp`."""
    rules = {"convert_to_tensor": lambda x, dtype=None: x, "convert_to_numpy": lambda x: x.data, "exp": exp}
    return register(Kind(name, (Boxed,), rules, Boxed))


@pytest.mark.parametrize("wrong", [False, True])
def test_a_third_party_backend_is_held_to_the_same(monkeypatch, wrong):
    name = f"boxed_{wrong}"
    kind = _boxed(name, lambda x: Boxed(np.exp(x.data) * (1.5 if wrong else 1)))
    for op in ("exp", "convert_to_tensor", "convert_to_numpy"):
        _dispatch.OPS[op].cache.clear()
    module = type("Module", (), {"KIND": kind})
    monkeypatch.setattr(_kinds, "_third_party", lambda: {name: "boxed_adapter"})
    monkeypatch.setitem(sys.modules, "boxed_adapter", module)
    assert name in installed_backends()
    if wrong:
        fails(f"ops.exp on {name}: value: max difference", ops.exp, X, reference=np.exp, backends=(name,))
    else:
        check_op(ops.exp, X, reference=np.exp, backends=(name,))
