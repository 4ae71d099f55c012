"""What every graph backend has to do: suites that the tests of each derive from.

A subclass gives the adapter's module and `graph_input(shape, dtype)`.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kfun import dtypes, ops
from kfun.errors import MixedBackendsError
from kfun.ops._kinds import kind_named
from kfun.testing_ops import _Call, _Check, _evaluate, _leaves
from tests.ops.catalogue import ROWS, options, public

WIDTHS = (*dtypes.INTEGERS, *dtypes.FLOATS, "bool")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def opened(call, known=()):
    """The shapes of a call's inputs with every size open that a graph lets be open; none for the ops in `known`."""
    shapes = [(None,) * a.ndim for a in call.arrays]
    name = call.name
    if name in ("conv", "depthwise_conv", "separable_conv", "conv_transpose"):
        image, *kernels = (a.shape for a in call.arrays)
        first = any(a == "channels_first" for a in (*call.args, *call.kwargs.values()) if isinstance(a, str))
        channels = (None, image[1], *[None] * (len(image) - 2)) if first else (*[None] * (len(image) - 1), image[-1])
        return [channels, *kernels]
    if name == "dot_product_attention":  # the number and size of the heads are part of the graph
        return [(None, None, *a.shape[2:]) for a in call.arrays[:3]] + shapes[3:]
    counted = name in ("array_split", "unstack", "cross", "correlate", *known) or (
        name == "squeeze" and not call.kwargs and len(call.args) == 1
    )
    return [a.shape for a in call.arrays] if counted else shapes


def check_with_open_sizes(backend, name, chosen, known=(), **given):
    """Cases of a row against JAX, all in one graph, because a compilation costs more than an op.

    Args:
        known: ops that need known sizes on this backend.
        given: further arguments of the adapter's `evaluate`.
    """
    row = ROWS[name]
    calls = [_Call(public(row), case.args, case.kwargs, compiles=False) for case in chosen]
    for call in calls:
        call.name = name
    cuts = list(itertools.accumulate((len(c.arrays) for c in calls), initial=0))

    def together(*values):
        return [c(*values[start:stop]) for c, (start, stop) in zip(calls, itertools.pairwise(cuts), strict=True)]

    arrays = [a for c in calls for a in c.arrays]
    evaluate = kind_named(backend).transforms["evaluate"]
    answers = evaluate(together, *arrays, shapes=[shape for c in calls for shape in opened(c, known)], **given)
    for case, call, answer in zip(chosen, calls, answers, strict=True):
        expected = _evaluate(kind_named("jax"), call, call.arrays)
        received = [(np.asarray(r), dtypes.name(r.dtype) if hasattr(r, "dtype") else None) for r in _leaves(answer)]
        settings = options(row, case)
        check = _Check(name, backend, settings.get("rtol", 1e-5), settings.get("atol", 1e-6))
        check.results(f"case {call.args!r:.200}", received, [v for v, _ in expected], [d for _, d in expected])


def agree(adapter, f, *arrays, shapes=None, rtol=1e-5, atol=1e-6):
    """Compares a function's graph with JAX; returns the graph's results."""
    expected = jax.tree.leaves(jax.jit(f)(*map(jnp.asarray, arrays)))
    results = adapter.evaluate(f, *arrays, shapes=shapes)
    for r, e in zip(jax.tree.leaves(results), expected, strict=True):
        np.testing.assert_allclose(r, np.asarray(e), rtol, atol)
        assert not hasattr(r, "dtype") or dtypes.name(r.dtype) == dtypes.name(e.dtype)
    return results


class Suite:
    adapter: Any

    def graph_input(self, shape, dtype="float32"):
        raise NotImplementedError

    def agree(self, f, *arrays, **options):
        return agree(self.adapter, f, *arrays, **options)

    def both(self, f, *arrays):
        """With known sizes and with open ones."""
        self.agree(f, *arrays, atol=1e-5)
        self.agree(f, *arrays, shapes=[(None,) * a.ndim for a in arrays], atol=1e-5)


class Operators(Suite):
    @pytest.mark.parametrize("first", WIDTHS)
    def test_promotion_follows_the_lattice(self, first):
        x = self.graph_input((2,), first)
        for second in WIDTHS:
            y = self.graph_input((2,), second)
            assert ops.where(True, x, y).dtype == dtypes.settle(dtypes.promote(first, second))
            assert ops.divide(x, y).dtype == dtypes.inexact(first, second)
        for scalar, weak in ((2, "int"), (2.0, "float")):
            assert (x * scalar).dtype == (scalar * x).dtype == dtypes.settle(dtypes.promote(first, weak))

    def test_all(self):
        def all_of_them(x, y):
            arithmetic = x + y, x - 1, 2 * x, x / y, 1.0 / y, x // y, x % y, x**2, 2.0**x, -x, abs(x), x @ y[0]
            return *arithmetic, x < y, x <= y, x > 0, x >= y, x == y, x != y, x[0], x[..., None, 1:], ~(x > y)

        x, y = normal(2, 3), np.abs(normal(2, 3, seed=1)) + 0.5
        self.agree(all_of_them, x, y, shapes=[(None, 3), (None, None)])

    def test_numpy_arrays_leave_operators_to_the_graph(self):
        table = normal(3)
        self.agree(lambda x: (table * x, x - table, table @ x[0]), normal(2, 3))


class Sizes(Suite):
    def test_arithmetic(self):
        def f(x):
            t, c = ops.shape(x)
            return t + 1, 2 * t - c, t // 2, -(-t // 2), (t * c) % 4, 10 - t, ops.cast(t, "float32") / 2, t * 0.5, 1 / t

        results = self.adapter.evaluate(f, normal(7, 3), shapes=[(None, None)])
        assert results[:6] == (8, 11, 3, 4, 1, 3)
        np.testing.assert_allclose(results[6:], (3.5, 3.5, 1 / 7))

    def test_weakly_typed(self):
        x = self.graph_input((None, 3), "float16")
        assert (x * x.shape[0]).dtype == "float16"
        assert ops.add(self.graph_input((2,), "int8"), x.shape[0]).dtype == "int8"

    @pytest.mark.parametrize("look", [int, float, bool, lambda d: d < 3, lambda d: [1, 2][d], np.asarray])
    def test_python_cannot_look(self, look):
        with pytest.raises(TypeError, match="known only when it runs"):
            look(self.graph_input((None, 3)).shape[0])

    def test_decide_the_kind_of_a_call(self):
        size = self.graph_input((None, 3)).shape[0]
        assert isinstance(size, self.adapter.Dim)
        made = [ops.zeros((size, 2)), ops.full(shape=[2, size], fill_value=1.0), ops.arange(size)]
        made.append(ops.broadcast_to(np.ones(3, "float32"), shape=(size, 3)))
        made.append(ops.slice(np.ones((9, 2), "float32"), (0, 0), (size, 2)))
        assert all(isinstance(m, self.adapter.Value) for m in made)

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

        self.agree(f, normal(2, 5, 4), shapes=[(None, None, 4)])
        self.agree(f, normal(3, 8, 4), shapes=[(None, None, None)])

    def test_known_sizes_stay_known(self):
        x = self.graph_input((None, None, 8))
        b, t, c = x.shape
        y = ops.transpose(ops.reshape(x, (b, t, 2, c // 2)), (0, 2, 1, 3))
        assert [y.shape[1], y.shape[3]] == [2, 4]

    def test_a_structure_that_depends_on_a_size_is_refused(self):
        with pytest.raises(ValueError, match="pass num, or fix that size in the Spec"):
            ops.unstack(self.graph_input((None, 3)))
        assert [part.shape for part in ops.unstack(self.graph_input((None, 3)), num=2)] == [(3,), (3,)]
        with pytest.raises(TypeError, match="fix that size in the Spec"):
            ops.conv(self.graph_input((None, 8, 8, None)), np.ones((3, 3, 1, 1), "float32"))


class Values(Suite):
    def test_python_cannot_look(self):
        x = self.graph_input((2,))
        for look in (bool, int, float, np.asarray, lambda v: 1 if v[0] > 0 else 2):
            with pytest.raises(TypeError, match=r"ops\.where, ops\.cond"):
                look(x)

    def test_iterates_over_a_known_axis_only(self):
        assert len(list(self.graph_input((3, None)))) == 3
        with pytest.raises(TypeError, match="no length"):
            iter(self.graph_input((None, 3))).__next__()

    def test_arrays_of_other_frameworks_are_refused(self):
        with pytest.raises(MixedBackendsError, match="and jax"):
            ops.add(self.graph_input((2,)), jnp.ones(2))
        with pytest.raises(TypeError, match="expected an array"):
            ops.add(self.graph_input((2,)), object())

    def test_types_without_a_counterpart(self):
        with pytest.raises(TypeError, match="no complex64"):
            ops.cast(self.graph_input((2,)), "complex64")

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
    def test_narrow_constants(self, dtype):
        weights = np.asarray([0.5, -1.5, 2.0]).astype(np.dtype(dtype))
        answer = self.adapter.evaluate(
            lambda x: x + ops.cast(ops.convert_to_tensor(weights), "float32"), np.zeros(3, "float32")
        )
        np.testing.assert_array_equal(answer, [0.5, -1.5, 2.0])

    def test_integers_divide_exactly(self):
        x = np.int32([2_000_000_011, -2_000_000_011, 123_456_789, -7, 7, 2**31 - 1, -(2**31) + 1])
        y = np.int32([3, 7, 1, 2, -2, 2**30 + 1, 1_000_003])
        self.agree(lambda x, y: (x // y, x % y, x // 3, 1_000_000_007 // y), x, y)

    def test_nan_wins(self):
        x = np.float32([np.nan, 1, 2, np.nan])

        def f(x, y):
            return ops.maximum(x, y), ops.minimum(x, y), ops.maximum(x, 1.5), ops.maximum(1.5, x)

        self.agree(f, x, x[::-1].copy())


class Accuracy(Suite):
    near = np.concatenate([np.logspace(-30, -1, 400), -np.logspace(-30, -1, 400)]).astype("float32")

    @pytest.mark.parametrize("name", ["log1p", "expm1", "erf", "erfinv"])
    def test_relative_near_zero(self, name):
        import scipy.special

        reference = getattr(np, name, None) or getattr(scipy.special, name)
        received = self.adapter.evaluate(getattr(ops, name), self.near)
        np.testing.assert_allclose(received, reference(self.near.astype("float64")), 2e-6, 1e-37)

    def test_relative_in_the_tails(self):
        x = np.float32([-80, -30, -12, 0, 12, 30])
        self.agree(lambda x: (ops.softplus(x), ops.log_sigmoid(-x), ops.sigmoid(x)), x, atol=1e-37)


class Control(Suite):
    @pytest.mark.parametrize("reverse", [False, True])
    def test_scan_over_trees_sees_what_it_closes_over(self, reverse):
        def f(x, w, h):
            def step(carry, item):
                h = ops.tanh(item["z"] + ops.matmul(carry["h"], w) + ops.sum(w))
                return {"n": carry["n"] + 1, "h": h}, (h, {"m": ops.max(item["z"]), "t": item["i"]})

            xs = {"z": x, "i": ops.arange(ops.shape(x)[0])}
            return ops.scan(step, {"h": h, "n": np.int32(0)}, xs, reverse=reverse)

        self.both(f, normal(5, 2, 3), normal(3, 3, seed=1), normal(2, 3, seed=2))

    def test_nested_loops_and_branches(self):
        def f(x, w):
            scaled = x * 2

            def outer(total, row):
                def inner(i, v):
                    return ops.cond(ops.sum(v) > 0, lambda: v * w - row, lambda: v + scaled[0] + ops.cast(i, "float32"))

                new = ops.fori_loop(0, 3, inner, row + ops.sum(scaled))
                return total + new, ops.while_loop(lambda v: ops.sum(v) < 50.0, lambda v: ops.abs(v) * 2 + w, new)

            return ops.scan(outer, ops.zeros_like(w), x)

        self.both(f, normal(4, 3), normal(3, seed=1))

    @pytest.mark.parametrize(
        "step",
        [
            lambda c, x: ((c[1], c[0]), c[0]),
            lambda c, x: ((c[0] + c[1], c[0]), c[1]),
            lambda c, x: ((x, c[0]), c[1]),
            lambda c, x: ((x + c[0], c[1]), x),
            lambda c, x: ((ops.squeeze(c[1][None] + 1.0, 0), ops.squeeze(c[0][None] + c[1][None], 0)), c[0][None]),
        ],
    )
    def test_carries_that_change_places(self, step):
        self.both(lambda a, b, x: ops.scan(step, (a, b), x), normal(3), normal(3, seed=1), normal(5, 3, seed=2))

    def test_what_is_closed_over_is_not_overwritten(self):
        def f(a, b, x):
            def step(c, z):
                return ops.reshape(ops.reshape(b, (3, 1)) + ops.reshape(c, (3, 1)), (3,)) * 0.3 + z, None

            return ops.scan(step, a, x), b

        self.both(f, normal(3), normal(3, seed=1), normal(5, 3, seed=2))

    def test_loops_of_no_steps(self):
        empty = np.zeros((0, 3), "float32")
        self.both(lambda x: ops.scan(lambda c, z: (c + z, c * 2), ops.ones((3,)), x)[0], empty)
        self.both(lambda x: ops.while_loop(lambda v: ops.sum(v) < -1e9, lambda v: v * 2, x), normal(3))
        self.both(lambda x: ops.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * 2), (9, x)), normal(3))

    def test_while_loop_with_a_limit(self):
        def f(x):
            return ops.while_loop(lambda i, v: i < 100, lambda i, v: (i + 1, v * 2), [0, x], maximum_iterations=4)

        self.both(f, normal(3))

    def test_trip_counts_from_sizes(self):
        def f(x):
            t = ops.shape(x)[0]
            total = ops.fori_loop(0, t, lambda i, v: v + x[i] * (i + 1), ops.zeros((3,)))
            return total, ops.scan(lambda c, _: (c * 0.5, None), ops.ones((2,)), None, length=t)[0]

        self.both(f, normal(6, 3))

    def test_vectorized_map(self):
        def f(x, w):
            return ops.vectorized_map(lambda row: {"y": ops.matmul(row["a"], w) + row["b"]}, {"a": x, "b": x[:, 0]})

        self.both(f, normal(4, 3), normal(3, 2, seed=1))

    def test_a_carry_that_changes_is_refused(self):
        x = self.graph_input((None, 3))
        with pytest.raises(TypeError, match="carry changes from"):
            ops.scan(lambda c, z: (ops.cast(c, "float16"), None), x[0], x)
        with pytest.raises(TypeError, match="carry changes structure"):
            ops.scan(lambda c, z: ((c[0],), None), (x[0], x[0]), x)
        with pytest.raises(TypeError, match="differ in structure"):
            ops.cond(ops.sum(x) > 0, lambda: (x, x), lambda: [x])

    def test_values_do_not_leave_a_body(self):
        x, kept = self.graph_input((None, 3)), []
        ops.scan(lambda c, z: (c + z, kept.append(c * z)), x[0], x)
        with pytest.raises(ValueError, match="inside of a loop or branch"):
            kept[0] + 1
