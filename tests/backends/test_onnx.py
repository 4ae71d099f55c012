"""ONNX graphs against the rules of JAX: every op with open sizes, held to the standard, run by onnxruntime."""

from __future__ import annotations

import collections
import subprocess
import sys

import numpy as np
import pytest

from kfun import dtypes, ops, random
from kfun.errors import UnsupportedOp
from kfun.ops._dispatch import OPS, coverage
from kfun.ops._kinds import backend
from tests.backends import graph_suites
from tests.backends.graph_suites import check_with_open_sizes, normal
from tests.ops.catalogue import ROWS, cases

for needed in ("onnx_ir", "onnx", "onnxruntime"):
    pytest.importorskip(needed)

import onnx_ir as ir
import onnxruntime

from kfun.backends import onnx as adapter  # isort: skip
from kfun.backends.onnx import KIND, evaluate  # isort: skip


def graph_input(shape, dtype="float32"):
    return adapter.graph_input("x", dtype, shape)


def model_of(f, *shapes):
    with backend("onnx"), adapter.Constants():
        values = [adapter.graph_input(f"x{i}", "float32", shape) for i, shape in enumerate(shapes)]
        results = f(*values)
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        return adapter.model_of(values, results, [f"y{i}" for i in range(len(results))])


def operations(model):
    """How often each operation is in the graph, loops' and branches' insides included."""
    return collections.Counter(n.op_type for n in ir.traversal.RecursiveGraphIterator(model.graph))


def optimized(f, *shapes, path):
    """The operations that onnxruntime is left with."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(path), 3
    onnxruntime.InferenceSession(
        ir.to_proto(model_of(f, *shapes)).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return operations(ir.load(path))


KNOWN = ("adaptive_average_pool", "adaptive_max_pool")  # ops that need known sizes, for want of an operation
DONE = [name for name in ROWS if name not in KIND.reasons]


@pytest.mark.parametrize("name", DONE)
def test_values_and_dtypes_with_open_sizes(name):
    check_with_open_sizes("onnx", name, cases(name)[:1], check=True, known=KNOWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", DONE)
def test_every_case_with_open_sizes(name):
    check_with_open_sizes("onnx", name, cases(name), check=True, known=KNOWN)


def test_every_op_has_a_rule_a_body_or_a_reason():
    table = coverage("onnx")
    assert [name for name, by in table.items() if by["onnx"] == "no: no rule"] == []
    assert all(reason for reason in KIND.reasons.values())


@pytest.mark.parametrize("name", sorted(KIND.reasons))
def test_refused_ops_say_why(name):
    x = graph_input((None, 2), "uint32" if name.startswith("random") else "float32")
    needed = [p for p in OPS[name].signature.parameters.values() if p.default is p.empty][1:]
    op = getattr(random, name.removeprefix("random_")) if name.startswith("random_") else getattr(ops, name)
    with pytest.raises(UnsupportedOp) as caught:
        op(x, *[3 for _ in needed])
    assert KIND.reasons[name] in str(caught.value)


class OnONNX:
    adapter = adapter
    graph_input = staticmethod(graph_input)


class TestOperators(OnONNX, graph_suites.Operators):
    pass


class TestSizes(OnONNX, graph_suites.Sizes):
    def test_one_size_is_read_once(self):
        """However many arrays have it: sizes are followed through the graph to the input."""

        def f(x):
            y = ops.relu(ops.matmul(x, normal(4, 6)) + 1.0)
            return ops.reshape(ops.transpose(y, (1, 0, 2)), (ops.shape(y)[1], -1)), ops.zeros((ops.shape(y)[1], 2))

        assert operations(model_of(f, (None, None, 4)))["Shape"] == 1

    def test_names_of_open_sizes(self):
        y = model_of(lambda x: ops.softmax(x @ normal(4, 6)), (None, None, 4)).graph.outputs[0]
        assert [str(size) for size in y.shape] == ["x0_0", "x0_1", "6"]


class TestValues(OnONNX, graph_suites.Values):
    def test_one_constant_per_array(self):
        tied = normal(64, 8)
        found = model_of(lambda x: (ops.matmul(x, tied), ops.matmul(x + 1, tied)), (None, 64))
        assert sum(v.shape == (64, 8) for v in found.graph.initializers.values()) == 1

    def test_extremes_over_an_axis_propagate_nan(self):
        x = np.float32([[1, np.nan], [2, 3], [-np.inf, np.inf]])
        self.both(lambda x: (ops.max(x, 1), ops.min(x, 1, True), ops.max(x), ops.argmax(x, 1)), x)

    def test_division_by_zero_does_not_abort(self):
        x, y = np.int32([5, -5, 7]), np.int32([0, 2, 0])
        self.both(lambda x, y: (ops.where(y == 0, 0, x // y), ops.where(y == 0, 0, x % y)), x, y)

    def test_division_of_the_least_integer(self):
        """By -1 its result is not representable: the processor traps."""
        x = np.int32([-(2**31), -(2**31) + 1, 5, -7])
        self.both(lambda x, y: (x // y, x % y, x // -1, x % -1), x, np.int32([-1, -1, -1, 2]))

    @pytest.mark.parametrize("dtype", [*dtypes.INTEGERS, "bool", "float16", "bfloat16", "float64"])
    def test_every_type_has_a_kernel(self, dtype):
        """onnxruntime lacks kernels for many types: a wider one computes."""

        def f(x, indices):
            x = ops.cast(x, dtype)
            moved = ops.concatenate([x, x], 0), ops.transpose(x), x[:, 1], ops.take(x, indices, 1), ops.flip(x, 0)
            chosen = ops.where(x > 1, x, ops.zeros_like(x)), ops.sort(x), ops.argmax(x, 1), ops.tril(x)
            made = ops.pad(x, 1), ops.tile(x, (2, 1)), ops.repeat(x, 2, 0), ops.broadcast_to(x[:1], (4, 3))
            folded = ops.max(x, 0), ops.sum(x, 1), ops.maximum(x, x[:1]), ops.equal(x, x[0]), ops.cumsum(x, 0)
            products = ops.matmul(x, ops.transpose(x)), x + x, x * x, ops.mean(x, 0), ops.exp(x)
            floats = [ops.cast(v, "float32") for v in (*moved, *chosen, *made, *folded, *products)]
            return floats, ops.scan(lambda c, row: (c + row, c), x[0], x)

        x = np.float32([[0, 1, 2], [3, 1, 0]])
        found = evaluate(f, x, np.int32([2, 0]), shapes=[(None, None), (None,)], check=True)
        wanted = evaluate_on_jax(f, x, np.int32([2, 0]), wide=dtype.endswith("64"))
        for r, e in zip(found, wanted, strict=True):
            for a, b in zip(leaves(r), leaves(e), strict=True):
                assert str(a.dtype) == str(b.dtype)
                np.testing.assert_allclose(a.astype("float64"), b.astype("float64"), 1e-2 if "16" in dtype else 1e-5)


def leaves(tree):
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, (list, tuple)) else [np.asarray(tree)]


def evaluate_on_jax(f, *arrays, wide):
    import jax

    with jax.enable_x64(wide):
        return jax.tree.map(np.asarray, jax.jit(f)(*map(jax.numpy.asarray, arrays)))


class TestAccuracy(OnONNX, graph_suites.Accuracy):
    pass


class TestControl(OnONNX, graph_suites.Control):
    def test_scan_of_a_known_length_is_one_node(self):
        def f(x):
            return ops.scan(lambda c, row: (c + row, None), ops.zeros((3,)), x)[0]

        assert operations(model_of(f, (5, 3))) == {"Scan": 1, "Add": 1}
        assert operations(model_of(f, (None, 3)))["Loop"] == 1

    def test_only_one_branch_is_computed(self):
        def f(x):
            scaled = ops.exp(x)
            return ops.cond(ops.sum(x) > 0, lambda: ops.tanh(scaled), lambda: scaled)

        outside = collections.Counter(n.op_type for n in model_of(f, (None, 3)).graph)
        assert outside["Exp"] == outside["If"] == 1
        assert outside["Tanh"] == 0


class TestGraph:
    def test_names_are_unique_and_do_not_depend_on_what_was_built_before(self):
        def f(x):
            return ops.scan(lambda c, row: (ops.tanh(c + row), ops.tanh(row)), ops.zeros((3,)), x)

        first, second = (ir.to_onnx_text(model_of(lambda x: f(x)[0], (None, 3))) for _ in range(2))
        assert first == second
        names = [v.name for n in ir.traversal.RecursiveGraphIterator(model_of(lambda x: f(x)[0], (None, 3)).graph)
                 for v in n.outputs]  # fmt: skip
        assert len(set(names)) == len(names)

    def test_what_no_result_needs_is_left_out(self):
        def f(x):
            ops.exp(x)
            return x + 1.0

        assert operations(model_of(f, (None, 3))) == {"Add": 1}

    def test_deep_graphs(self):
        def f(x):
            for _ in range(3000):
                x = x + 1.0
            return x

        assert operations(model_of(f, (2,)))["Add"] == 3000

    def test_every_value_has_its_type_and_rank(self):
        model = model_of(lambda x: ops.layer_normalization(ops.gelu(x @ normal(4, 8))), (None, None, 4))
        for node in model.graph:
            for value in node.outputs:
                assert value.dtype == ir.DataType.FLOAT
                assert len(value.shape) == 3

    def test_results_of_another_graph_are_refused(self):
        stranger = graph_input((2,))
        with pytest.raises(ValueError, match="no input of this graph"):
            model_of(lambda x: x + stranger, (2,))


class TestFused:
    def test_activations_and_normalization_are_single_nodes(self):
        found = {"gelu": "Gelu", "relu": "Relu", "softmax": "Softmax", "log_softmax": "LogSoftmax", "elu": "Elu"}
        found |= {"layer_normalization": "LayerNormalization", "softplus": "Softplus", "hard_sigmoid": "HardSigmoid"}
        for name, op in found.items():
            assert operations(model_of(getattr(ops, name), (None, 4))) == {op: 1}

    @pytest.mark.parametrize("reverse", [False, True])
    def test_recurrences_are_one_node(self, reverse):
        weights = normal(3, 20), normal(5, 20), normal(20)

        def lstm(x):
            zeros = ops.zeros((ops.shape(x)[0], 5))
            return ops.lstm(x, zeros, zeros, *weights, reverse=reverse)

        def gru(x):
            first = ops.zeros((ops.shape(x)[0], 5))
            return ops.gru(x, first, weights[0][:, :15], weights[1][:, :15], normal(2, 15), reverse=reverse)

        def simple(x):
            first = ops.zeros((ops.shape(x)[0], 5))
            return ops.simple_rnn(x, first, weights[0][:, :5], weights[1][:, :5], None, reverse=reverse)

        for f, op in ((lstm, "LSTM"), (gru, "GRU"), (simple, "RNN")):
            assert operations(model_of(f, (None, None, 3)))[op] == 1
            graph_suites.agree(adapter, f, normal(2, 6, 3), shapes=[(None, None, 3)])

    def test_attention_of_rows_that_see_nothing(self):
        mask = np.zeros((1, 1, 3, 3), "bool")
        q = normal(2, 3, 2, 4)
        graph_suites.agree(adapter, lambda q: ops.dot_product_attention(q, q, q, mask=mask), q, atol=1e-5)

    def test_onnxruntime_cancels_the_transposes_between_convolutions(self, tmp_path):
        def f(x):
            x = ops.relu(ops.conv(x, normal(3, 3, 3, 8) / 3, 1, "same") + normal(8))
            x = ops.batch_normalization(x, normal(8), np.abs(normal(8)) + 0.5, -1, normal(8, seed=3), normal(8, seed=4))
            y = ops.conv(ops.max_pool(x, 2), normal(3, 3, 8, 8, seed=2) / 8, 1, "same")
            return ops.mean(ops.relu(y + ops.max_pool(x, 2)), (1, 2))

        assert optimized(f, (None, 16, 16, 3), path=tmp_path / "optimized.onnx")["Transpose"] <= 2


def test_importing_kfun_imports_no_onnx():
    code = "import sys, kfun; assert not {'onnx', 'onnx_ir', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
