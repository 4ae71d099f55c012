"""Which rule runs: kinds by type, weak values, mixing, graph sizes, third parties, and what is imported when."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun.random
from kfun import ops
from kfun.errors import MixedBackendsError, UnsupportedOp
from kfun.ops import _dispatch, _kinds
from kfun.ops._kinds import Kind, kind_named, kind_of_type, register
from tests.conftest import BACKENDS, GRAPHS

EAGER = [b for b in BACKENDS if b not in GRAPHS]


def of(backend, x):
    with _kinds.backend(backend):
        return ops.convert_to_tensor(np.asarray(x))


@pytest.fixture(params=EAGER)
def eager(request):
    return request.param


@pytest.fixture(params=[b for b in EAGER if b not in ("jax", "numpy")])
def framework(request):
    return request.param


def native_type(backend):
    return kind_named(backend).types


def test_arrays_decide_whatever_the_default_is(framework):
    x = of(framework, np.float32([1, 2]))
    for default in ("jax", "numpy", framework):
        with _kinds.backend(default):
            assert isinstance(ops.exp(x), native_type(framework))


def test_two_backends_work_in_one_process(framework):
    data = np.float32([[1, 2], [3, 4]])
    ours, theirs = ops.softmax(jnp.asarray(data)), ops.softmax(of(framework, data))
    assert isinstance(ours, jax.Array)
    assert isinstance(theirs, native_type(framework))
    np.testing.assert_allclose(np.asarray(ours), ops.convert_to_numpy(theirs), rtol=1e-6)


def test_frameworks_do_not_mix(framework):
    with pytest.raises(MixedBackendsError) as caught:
        ops.add(jnp.ones(2), of(framework, np.float32([1, 2])))
    message = str(caught.value)
    assert "ops.add" in message
    assert "jax" in message
    assert framework in message
    assert "kfun.convert(" in message
    assert set(caught.value.kinds) == {"jax", framework}


def test_frameworks_do_not_mix_inside_a_list(framework):
    with pytest.raises(MixedBackendsError, match=r"ops\.concatenate"):
        ops.concatenate([jnp.ones(2), of(framework, np.float32([1, 2]))])


@pytest.mark.parametrize("weak", [2, 2.5, True, np.float32(2), np.float32([1, 2]), [1.0, 2.0], (1.0, 2.0)], ids=repr)
def test_weak_values_follow_the_strong_argument(framework, weak):
    x = of(framework, np.float32([3, 4]))
    for out in (ops.add(x, weak), ops.add(weak, x)):
        assert isinstance(out, native_type(framework))
        np.testing.assert_array_equal(ops.convert_to_numpy(out), np.float32([3, 4]) + np.asarray(weak, "float32"))


@pytest.mark.parametrize("weak", [2, 2.5, np.float32([1, 2]), [1.0, 2.0], [[1, 2], [3, 4]]], ids=repr)
def test_weak_values_alone_follow_the_default_backend(eager, weak):
    with _kinds.backend(eager):
        assert isinstance(ops.negative(weak), native_type(eager))
        assert isinstance(ops.add(weak, weak), native_type(eager))
        assert isinstance(ops.concatenate([[1, 2], np.int32([3])]), native_type(eager))


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "uint8"])
def test_python_scalars_do_not_widen_arrays(eager, dtype):
    x = of(eager, np.ones(2, dtype))
    widened = "float32" if dtype in ("int32", "uint8") else dtype
    with _kinds.backend(eager):
        for scalar, expected in ((2, dtype), (2.5, widened), (True, dtype)):
            assert ops.convert_to_numpy(ops.multiply(x, scalar)).dtype == expected
            assert ops.convert_to_numpy(ops.multiply(scalar, x)).dtype == expected


def test_default_backend_is_restored_after_an_error():
    before = _kinds.current_backend()

    def fail():
        with _kinds.backend("numpy"):
            assert isinstance(ops.zeros((2,)), np.ndarray)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert _kinds.current_backend() == before


def test_unknown_backends_are_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown backend 'troch'.*'torch'"), _kinds.backend("troch"):
        pass


def test_subclasses_belong_to_the_kind_of_their_framework():
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.ones(2))
    assert kind_of_type(type(parameter)).name == "torch"
    assert isinstance(ops.exp(parameter), torch.Tensor)
    assert isinstance(ops.add(2.0, parameter), torch.Tensor)


def test_tracers_are_jax():
    assert jax.jit(lambda x: ops.softmax(ops.add(x, np.float32([1, 2]))))(jnp.ones(2)).shape == (2,)
    assert jax.grad(lambda x: ops.sum(ops.concatenate([x, [1.0, 2.0]])))(jnp.ones(2)).shape == (2,)


def test_array_parameters_may_be_given_by_keyword(framework):
    x, y = of(framework, np.float32([1, 2])), of(framework, np.float32([3, 5]))
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.subtract(x1=y, x2=x)), [2, 3])
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.subtract(x2=x, x1=[3.0, 5.0])), [2, 3])
    out = ops.where(condition=[True, False], x1=x, x2=y)
    np.testing.assert_array_equal(ops.convert_to_numpy(out), [1, 5])
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.concatenate(axis=0, xs=[x, [9.0]])), [1, 2, 9])


def test_wrong_arguments_name_the_op_or_its_parameter():
    with pytest.raises(TypeError, match=r"x2|add"):
        ops.add(jnp.ones(2))
    with pytest.raises(TypeError, match="axes"):
        ops.softmax(jnp.ones(2), axes=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rules_take_all_parameters_by_position(backend):
    for name, rule in kind_named(backend).rules.items():
        op = _dispatch.OPS[name]
        try:
            signature = inspect.signature(rule)
        except ValueError:  # a function in C says nothing
            continue
        signature.bind(*op.signature.parameters)


def test_settings_given_as_lists_and_arrays_are_those_given_as_tuples(eager):
    x = of(eager, np.arange(6.0, dtype="float32").reshape(2, 3))
    with _kinds.backend(eager):
        for shape in ([3, 2], np.array([3, 2]), (3, np.int64(2))):
            assert tuple(ops.reshape(x, shape).shape) == (3, 2)
        assert tuple(ops.transpose(x, [1, 0]).shape) == (3, 2)
        assert tuple(ops.pad(x, [[1, 0], [0, 2]]).shape) == (3, 5)
        np.testing.assert_array_equal(ops.convert_to_numpy(ops.sum(x, [0, 1])), 15.0)


def test_settings_of_equal_value_and_unlike_type_are_told_apart():
    x = jnp.ones((2, 2))
    assert [ops.full_like(x, v, dtype=None).dtype for v in (1, 1.0, True)] == ["float32"] * 3
    assert [ops.full((2,), v).dtype for v in (1, 1.0, True)] == ["int32", "float32", "bool"]


class _Size:
    """A size of a toy graph, known only at run time."""


class _Node:
    """A value of a toy graph: what it was made by and from."""

    def __init__(self, made_by, args):
        self.made_by, self.args = made_by, args


@pytest.fixture
def graph():
    """A kind like that of graph values: above the frameworks, one rule for every op."""
    kind = Kind("graph", (_Size, _Node), {}, lambda x: x, priority=10, fallback=_recording)
    register(kind)
    yield kind
    for cls in kind.types:
        _kinds._kinds.pop(cls, None)
    for op in _dispatch.OPS.values():
        op.cache.clear()


def _recording(op):
    return lambda *args, **kwargs: _Node(op.name, (*args, *kwargs.values()))


def test_graph_values_decide_over_frameworks(graph):
    node = _Node("input", ())
    assert ops.add(jnp.ones(2), node).made_by == "add"
    assert ops.matmul(node, np.ones((2, 2))).made_by == "matmul"
    assert ops.concatenate([jnp.ones(2), node]).made_by == "concatenate"


def test_graph_sizes_decide_inside_shapes_and_keywords(graph):
    size = _Size()
    assert ops.zeros((2, size)).made_by == "zeros"
    assert ops.reshape(jnp.ones(6), (size, 2)).made_by == "reshape"
    assert ops.full(shape=[size], fill_value=0.0).made_by == "full"
    assert ops.slice(jnp.ones((4, 2)), (0, 0), (size, 2)).made_by == "slice"
    assert ops.broadcast_to(jnp.ones(1), shape=(size, 1)).made_by == "broadcast_to"
    assert ops.getitem(jnp.ones(4), (slice(None),)).shape == (4,)
    assert isinstance(ops.zeros((2, 3)), jax.Array)  # and without one, nothing has changed


def test_unsupported_ops_say_why():
    class Thing:
        pass

    kind = Kind("toy", (Thing,), {}, lambda x: x, reasons={"softmax": "it has no exponentials; use linear layers"})
    register(kind)
    with pytest.raises(UnsupportedOp, match="softmax is not supported on toy: it has no exponentials") as caught:
        ops.softmax(Thing())
    assert (caught.value.op, caught.value.backend) == ("softmax", "toy")
    with pytest.raises(UnsupportedOp, match=r"ops\.exp is not supported on toy: the backend has no rule"):
        ops.exp(Thing())
    assert isinstance(caught.value, NotImplementedError)


@pytest.fixture
def thirdparty(monkeypatch):
    """A backend from another package: the entry point `toyframe`, an array class, and five primitives."""
    framework = types.ModuleType("toyframe")

    class Tensor:
        def __init__(self, data):
            self.data = np.asarray(data, "float32")

    Tensor.__module__ = "toyframe"
    framework.Tensor = Tensor
    adapter = types.ModuleType("toyframe_adapter")
    adapter.KIND = Kind(
        "toyframe",
        (Tensor,),
        {
            "convert_to_tensor": lambda x, dtype=None: x if isinstance(x, Tensor) else Tensor(x),
            "convert_to_numpy": lambda x: x.data,
            "exp": lambda x: Tensor(np.exp(x.data)),
            "subtract": lambda a, b: Tensor(a.data - b.data),
            "divide": lambda a, b: Tensor(a.data / b.data),
            "max": lambda x, axis=None, keepdims=False: Tensor(x.data.max(axis, keepdims=keepdims)),
            "sum": lambda x, axis=None, keepdims=False: Tensor(x.data.sum(axis, keepdims=keepdims)),
        },
        Tensor,
    )
    entry = importlib.metadata.EntryPoint("toyframe", "toyframe_adapter", "kfun.backends")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry] if group == "kfun.backends" else [])
    monkeypatch.setitem(sys.modules, "toyframe", framework)
    monkeypatch.setitem(sys.modules, "toyframe_adapter", adapter)
    _kinds._third_party.cache_clear()
    yield framework
    monkeypatch.undo()
    _kinds._third_party.cache_clear()


def test_a_third_party_backend_runs_derived_ops_on_its_primitives(thirdparty):
    data = np.float32([[1, 2, 3], [0, 0, 5]])
    out = ops.softmax(thirdparty.Tensor(data))
    assert isinstance(out, thirdparty.Tensor)
    np.testing.assert_allclose(out.data, jax.nn.softmax(data), rtol=1e-6)
    with _kinds.backend("toyframe"):
        assert isinstance(ops.exp([1.0, 2.0]), thirdparty.Tensor)
    with pytest.raises(UnsupportedOp, match="matmul is not supported on toyframe"):
        ops.matmul(thirdparty.Tensor(data), thirdparty.Tensor(data.T))
    assert ops.coverage("toyframe")["softmax"] == {"toyframe": "derived"}
    assert ops.coverage("toyframe")["exp"] == {"toyframe": "rule"}
    assert ops.coverage("toyframe")["matmul"]["toyframe"].startswith("no")


IMPORTS = """
import sys
import {module}
from kfun import ops, random
ops.softmax(ops.add(ops.ones((2, 2)), random.normal(random.key(0), (2, 2))))
loaded = {{"torch", "tensorflow", "openvino", "onnx_ir", "onnx", "keras"}} & set(sys.modules)
sys.exit(f"importing {module} loaded {{loaded}}" if loaded else 0)
"""


@pytest.mark.parametrize("module", ["kfun", "compat"])
def test_importing_loads_no_framework_but_jax(module):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not there yet")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(module=module)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_coverage_has_an_entry_for_every_op_and_backend():
    table = ops.coverage(*EAGER)
    assert set(table) == set(_dispatch.OPS)
    for name, entries in table.items():
        assert set(entries) == set(EAGER)
        for backend, entry in entries.items():
            if entry.startswith("no"):
                assert name in kind_named(backend).reasons, f"{name} on {backend} has no rule and no reason"


def test_random_keys_follow_the_default_backend(eager):
    with _kinds.backend(eager):
        key = kfun.random.key(2**40 + 7)
    assert isinstance(key, native_type(eager))
    np.testing.assert_array_equal(ops.convert_to_numpy(key), [2**8, 7])
