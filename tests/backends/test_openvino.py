"""OpenVINO graphs against the rules of JAX: every op with open sizes, and what only graphs have."""

from __future__ import annotations

import itertools
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from kfun import dtypes, ops, random
from kfun.errors import MixedBackendsError, UnsupportedOp
from kfun.ops._dispatch import OPS, coverage
from kfun.ops._kinds import kind_named
from kfun.testing import _Call, _Check, _evaluate, _leaves
from tests.ops.catalogue import ROWS, cases, options, public

from tests.backends.graphs import agree, graph_input, model_of, normal  # isort: skip - skips without openvino
from kfun.backends.openvino import KIND, Dim, Value, evaluate  # isort: skip


def opened(call):
    """The shapes of a call's inputs with every size open that OpenVINO lets be open."""
    shapes = [(None,) * a.ndim for a in call.arrays]
    name = call.name
    if name in ("conv", "depthwise_conv", "conv_transpose"):
        image, kernel = (a.shape for a in call.arrays)
        first = any(a == "channels_first" for a in (*call.args, *call.kwargs.values()) if isinstance(a, str))
        channels = (None, image[1], *[None] * (len(image) - 2)) if first else (*[None] * (len(image) - 1), image[-1])
        return [channels, kernel]
    if name == "dot_product_attention":  # the number and size of the heads are part of the graph
        return [(None, None, *a.shape[2:]) for a in call.arrays[:3]] + shapes[3:]
    counted = name == "unstack" or (name == "squeeze" and not call.kwargs and len(call.args) == 1)
    return [a.shape for a in call.arrays] if counted else shapes


DONE = [name for name in ROWS if name not in KIND.reasons]


@pytest.mark.parametrize("name", DONE)
def test_values_and_dtypes_with_open_sizes(name):
    check_with_open_sizes(name, cases(name)[:3])


@pytest.mark.slow
@pytest.mark.parametrize("name", DONE)
def test_every_case_with_open_sizes(name):
    check_with_open_sizes(name, cases(name))


def check_with_open_sizes(name, chosen):
    """All cases in one graph, because a compilation costs more than an op."""
    row = ROWS[name]
    calls = [_Call(public(row), case.args, case.kwargs, compiles=False) for case in chosen]
    for call in calls:
        call.name = name
    cuts = list(itertools.accumulate((len(c.arrays) for c in calls), initial=0))

    def together(*values):
        return [c(*values[start:stop]) for c, (start, stop) in zip(calls, itertools.pairwise(cuts), strict=True)]

    arrays = [a for c in calls for a in c.arrays]
    answers = evaluate(together, *arrays, shapes=[shape for c in calls for shape in opened(c)])
    for case, call, answer in zip(chosen, calls, answers, strict=True):
        expected = _evaluate(kind_named("jax"), call, call.arrays)
        received = [(np.asarray(r), dtypes.name(r.dtype) if hasattr(r, "dtype") else None) for r in _leaves(answer)]
        given = options(row, case)
        check = _Check(name, "openvino", given.get("rtol", 1e-5), given.get("atol", 1e-6))
        check.results(f"case {call.args!r:.200}", received, [v for v, _ in expected], [d for _, d in expected])


def test_every_op_has_a_rule_a_body_or_a_reason():
    table = coverage("openvino")
    assert [name for name, by in table.items() if by["openvino"] == "no: no rule"] == []
    assert all(reason for reason in KIND.reasons.values())


@pytest.mark.parametrize("name", sorted(KIND.reasons))
def test_refused_ops_say_why(name):
    x = graph_input((None, 2), "uint32" if name.startswith("random") else "float32")
    needed = [p for p in OPS[name].signature.parameters.values() if p.default is p.empty][1:]
    op = getattr(random, name.removeprefix("random_")) if name.startswith("random_") else getattr(ops, name)
    with pytest.raises(UnsupportedOp) as caught:
        op(x, *[3 for _ in needed])
    assert KIND.reasons[name] in str(caught.value)


WIDTHS = (*dtypes.INTEGERS, *dtypes.FLOATS, "bool")


@pytest.mark.parametrize("first", WIDTHS)
def test_promotion_follows_the_lattice(first):
    x = graph_input((2,), first)
    for second in WIDTHS:
        assert ops.where(True, x, graph_input((2,), second)).dtype == dtypes.settle(dtypes.promote(first, second))
        assert ops.divide(x, graph_input((2,), second)).dtype == dtypes.inexact(first, second)
    for scalar, weak in ((2, "int"), (2.0, "float")):
        assert (x * scalar).dtype == (scalar * x).dtype == dtypes.settle(dtypes.promote(first, weak))


def test_operators():
    def all_of_them(x, y):
        arithmetic = x + y, x - 1, 2 * x, x / y, 1.0 / y, x // y, x % y, x**2, 2.0**x, -x, abs(x), x @ y[0]
        return *arithmetic, x < y, x <= y, x > 0, x >= y, x == y, x != y, x[0], x[..., None, 1:], ~(x > y)

    agree(all_of_them, normal(2, 3), np.abs(normal(2, 3, seed=1)) + 0.5, shapes=[(None, 3), (None, None)])


def test_numpy_arrays_leave_operators_to_the_graph():
    table = normal(3)
    agree(lambda x: (table * x, x - table, table @ x[0]), normal(2, 3))


class TestSizes:
    def test_arithmetic(self):
        def f(x):
            t, c = ops.shape(x)
            return t + 1, 2 * t - c, t // 2, -(-t // 2), (t * c) % 4, 10 - t, ops.cast(t, "float32") / 2, t * 0.5, 1 / t

        results = evaluate(f, normal(7, 3), shapes=[(None, None)])
        assert results[:6] == (8, 11, 3, 4, 1, 3)
        np.testing.assert_allclose(results[6:], (3.5, 3.5, 1 / 7))

    def test_weakly_typed(self):
        x = graph_input((None, 3), "float16")
        assert (x * x.shape[0]).dtype == "float16"
        assert ops.add(graph_input((2,), "int8"), x.shape[0]).dtype == "int8"

    @pytest.mark.parametrize("look", [int, float, bool, lambda d: d < 3, lambda d: [1, 2][d], np.asarray])
    def test_python_cannot_look(self, look):
        with pytest.raises(TypeError, match="known only when it runs"):
            look(graph_input((None, 3)).shape[0])

    def test_decide_the_kind_of_a_call(self):
        size = graph_input((None, 3)).shape[0]
        assert isinstance(size, Dim)
        made = ops.zeros((size, 2)), ops.full(shape=[2, size], fill_value=1.0), ops.arange(size)
        assert all(isinstance(m, Value) for m in made)
        assert isinstance(ops.broadcast_to(np.ones(3, "float32"), shape=(size, 3)), Value)
        assert isinstance(ops.slice(np.ones((9, 2), "float32"), (0, 0), (size, 2)), Value)

    def test_in_shapes(self):
        table = normal(20, 4)

        def f(x):
            b, t, c = ops.shape(x)
            positions = ops.slice(table, (0, 0), (t, c))
            flat = ops.reshape(x + positions, (b * t, c))
            back = ops.reshape(flat, (b, t, 2, -1))
            padded = ops.pad(x, ((0, 0), (0, 9 - t), (0, 0)))
            heads, tails = ops.split(x, [t // 2], 1)
            more = ops.tile(x, (1, t, 1)), ops.repeat(x, 2, 1), ops.roll(x, 1, 1), ops.eye(t), ops.arange(1, t + 1)
            update = ops.slice_update(ops.zeros((b, t + 2, c)), (0, 1, 0), x)
            last = ops.getitem(x, (slice(None), t - 1)), x[:, t // 2 :], ops.take(x, t - 1, 1)
            return flat, back, padded, heads, tails, more, update, last, ops.getitem(table, slice(0, t))

        agree(f, normal(2, 5, 4), shapes=[(None, None, 4)])
        agree(f, normal(3, 8, 4), shapes=[(None, None, None)])

    def test_known_sizes_stay_known(self):
        x = graph_input((None, None, 8))
        b, t, c = x.shape
        y = ops.transpose(ops.reshape(x, (b, t, 2, c // 2)), (0, 2, 1, 3))
        assert [y.shape[1], y.shape[3]] == [2, 4]

    def test_a_structure_that_depends_on_a_size_is_refused(self):
        with pytest.raises(TypeError, match="fix that size in the Spec"):
            ops.unstack(graph_input((None, 3)))
        with pytest.raises(TypeError, match="fix that size in the Spec"):
            ops.conv(graph_input((None, 8, 8, None)), np.ones((3, 3, 1, 1), "float32"))


class TestValue:
    def test_python_cannot_look(self):
        x = graph_input((2,))
        for look in (bool, int, float, np.asarray, lambda v: 1 if v[0] > 0 else 2):
            with pytest.raises(TypeError, match=r"ops\.where, ops\.cond"):
                look(x)

    def test_iterates_over_a_known_axis_only(self):
        assert len(list(graph_input((3, None)))) == 3
        with pytest.raises(TypeError, match="no length"):
            iter(graph_input((None, 3))).__next__()

    def test_arrays_of_other_frameworks_are_refused(self):
        with pytest.raises(MixedBackendsError, match="openvino and jax"):
            ops.add(graph_input((2,)), jnp.ones(2))
        with pytest.raises(TypeError, match="expected an array"):
            ops.add(graph_input((2,)), object())

    def test_types_without_a_counterpart(self):
        with pytest.raises(TypeError, match="no complex64"):
            ops.cast(graph_input((2,)), "complex64")

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
    def test_narrow_constants(self, dtype):
        weights = np.asarray([0.5, -1.5, 2.0]).astype(np.dtype(dtype))
        answer = evaluate(lambda x: x + ops.cast(ops.convert_to_tensor(weights), "float32"), np.zeros(3, "float32"))
        np.testing.assert_array_equal(answer, [0.5, -1.5, 2.0])

    def test_one_constant_per_array(self):
        tied = normal(64, 8)
        found = model_of(lambda x: (ops.matmul(x, tied), ops.matmul(x + 1, tied)), (None, 64))
        assert sum(n.get_type_name() == "Constant" and list(n.shape) == [64, 8] for n in found.get_ops()) == 1


class TestAccuracy:
    near = np.concatenate([np.logspace(-30, -1, 400), -np.logspace(-30, -1, 400)]).astype("float32")

    @pytest.mark.parametrize("name", ["log1p", "expm1", "erf", "erfinv"])
    def test_relative_near_zero(self, name):
        import scipy.special

        reference = getattr(np, name, None) or getattr(scipy.special, name)
        received = evaluate(getattr(ops, name), self.near)
        np.testing.assert_allclose(received, reference(self.near.astype("float64")), 2e-6, 1e-37)

    def test_relative_in_the_tails(self):
        x = np.float32([-80, -30, -12, 0, 12, 30])
        agree(lambda x: (ops.softplus(x), ops.log_sigmoid(-x), ops.sigmoid(x)), x, atol=1e-37)

    def test_integers_divide_exactly(self):
        x = np.int32([2_000_000_011, -2_000_000_011, 123_456_789, -7, 7, 2**31 - 1, -(2**31) + 1])
        y = np.int32([3, 7, 1, 2, -2, 2**30 + 1, 1_000_003])
        agree(lambda x, y: (x // y, x % y, x // 3, 1_000_000_007 // y), x, y)

    def test_nan_wins(self):
        x = np.float32([np.nan, 1, 2, np.nan])
        agree(
            lambda x, y: (ops.maximum(x, y), ops.minimum(x, y), ops.maximum(x, 1.5), ops.maximum(1.5, x)),
            x,
            x[::-1].copy(),
        )


def test_importing_kfun_imports_no_openvino_and_its_telemetry_never():
    code = (
        "import sys, kfun; assert 'openvino' not in sys.modules;"
        "import kfun.backends.openvino; assert 'openvino_telemetry' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
