"""Numerical edge cases by name: where a plain formula overflows, cancels, ties or divides by zero."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.special

from kfun import ops
from kfun.ops import _kinds
from kfun.ops._kinds import kind_named
from tests.conftest import BACKENDS, GRAPHS

GRADIENTS = [b for b in ("jax", "torch", "tensorflow") if b in BACKENDS]
INF = np.inf


@pytest.fixture
def run(backend):
    """`run(function, *numpy arrays)` on each backend, as NumPy."""
    kind = kind_named(backend)

    def call(function, *arrays):
        if "evaluate" in kind.transforms:
            return kind.transforms["evaluate"](function, *arrays)
        with _kinds.backend(backend), np.errstate(all="ignore"):
            return np.asarray(ops.convert_to_numpy(function(*map(ops.convert_to_tensor, arrays))))

    call.backend = backend
    return call


def gradient(backend, function, x):
    with _kinds.backend(backend):
        return np.asarray(
            ops.convert_to_numpy(kind_named(backend).transforms["grad"](function)(ops.convert_to_tensor(x)))
        )


def test_log_softmax_of_large_logits(run):
    x = np.float32([[1e4, 1e4 - 3, 0], [-1e4, -1e4 + 2, -1e4]])
    np.testing.assert_allclose(run(ops.log_softmax, x), scipy.special.log_softmax(x.astype("float64"), -1), rtol=1e-5)
    assert np.isfinite(run(ops.log_softmax, np.float32([3e38, -3e38]))[0])


def test_softmax_of_large_logits_sums_to_one(run):
    out = run(ops.softmax, np.float32([1e30, 1e30, -1e30]))
    np.testing.assert_allclose(out, [0.5, 0.5, 0.0])


def test_variance_of_large_means(run):
    x = np.float32(1e4 + np.random.default_rng(0).normal(size=4000))
    exact = np.var(x.astype("float64"))
    # mean(x**2) - mean(x)**2 would be off by 6 and more: the spacing of float32 at 1e8.
    np.testing.assert_allclose(run(ops.var, x), exact, rtol=1e-3)
    np.testing.assert_allclose(run(lambda x: ops.moments(x, [0])[1], x), exact, rtol=1e-3)


def test_layer_normalization_of_large_means(run):
    x = np.float32(1e3 + np.random.default_rng(0).normal(size=(3, 64)))
    wide = x.astype("float64")
    exact = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(run(ops.layer_normalization, x), exact, rtol=1e-3, atol=2e-4)


def test_logaddexp_of_minus_infinity(run):
    x, y = np.float32([-INF, -INF, 3, INF, 80]), np.float32([-INF, 2, -INF, 1, 90])
    np.testing.assert_allclose(run(ops.logaddexp, x, y), [-INF, 2, 3, INF, 90 + np.exp(-10)], rtol=1e-6)


def test_logsumexp_of_a_row_of_minus_infinity(run):
    x = np.float32([[-INF, -INF], [0, -INF], [INF, 0], [-1e4, -1e4]])
    np.testing.assert_allclose(run(lambda x: ops.logsumexp(x, -1), x), [-INF, 0, INF, -1e4 + np.log(2)], rtol=1e-6)


def test_sigmoid_is_accurate_in_its_tail(run):
    x = np.float32([-80, -30, -10, 0, 10, 100])
    np.testing.assert_allclose(run(ops.sigmoid, x), scipy.special.expit(x.astype("float64")), rtol=1e-5)


def test_softplus_neither_overflows_nor_underflows(run):
    x = np.float32([-80, -20, 0, 20, 1e4])
    np.testing.assert_allclose(run(ops.softplus, x), np.logaddexp(0, x.astype("float64")), rtol=1e-5)


def test_expm1_and_log1p_near_zero(run):
    x = np.float32([1e-8, -1e-8, 1e-5])
    np.testing.assert_allclose(run(ops.expm1, x), np.expm1(x.astype("float64")), rtol=1e-6)
    np.testing.assert_allclose(run(ops.log1p, x), np.log1p(x.astype("float64")), rtol=1e-6)


@pytest.mark.parametrize("backend", GRADIENTS)
def test_norm_has_gradient_zero_at_zero(backend):
    zero = np.zeros(3, "float32")
    for order in (None, 2):
        np.testing.assert_array_equal(gradient(backend, lambda x, order=order: ops.norm(x, order), zero), zero)
    both = np.float32([[0, 0], [3, 4]])
    total = gradient(backend, lambda x: ops.sum(ops.norm(x, axis=1)), both)
    np.testing.assert_allclose(total, [[0, 0], [0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("backend", GRADIENTS)
def test_relu_and_where_have_finite_gradients_at_their_kinks(backend):
    np.testing.assert_array_equal(gradient(backend, lambda x: ops.sum(ops.relu(x)), np.zeros(2, "float32")), [0, 0])
    masked = gradient(
        backend,
        lambda x: ops.sum(ops.where(ops.equal(x, 0), 0.0, ops.log(ops.where(ops.equal(x, 0), 1.0, x)))),
        np.float32([0, 2]),
    )
    np.testing.assert_allclose(masked, [0, 0.5])


@pytest.mark.parametrize("backend", GRADIENTS)
def test_the_gradient_of_a_maximum_is_shared_by_its_ties(backend):
    out = gradient(backend, ops.max, np.float32([1, 3, 3, 2]))
    np.testing.assert_allclose(out, [0, 0.5, 0.5, 0])
    for op in (ops.maximum, ops.minimum):
        out = gradient(backend, lambda x, op=op: ops.sum(op(x, 3.0)), np.float32([3, 3]))
        np.testing.assert_allclose(out, [0.5, 0.5])


EMPTY = {
    "sum": (lambda x: ops.sum(x, 0), np.zeros(3)),
    "prod": (lambda x: ops.prod(x, 0), np.ones(3)),
    "any": (lambda x: ops.any(x, 0), np.zeros(3, bool)),
    "all": (lambda x: ops.all(x, 0), np.ones(3, bool)),
    "concatenate": (lambda x: ops.concatenate([x, x], 0), np.zeros((0, 3))),
    "exp": (ops.exp, np.zeros((0, 3))),
    "softmax": (ops.softmax, np.zeros((0, 3))),
    "matmul": (lambda x: ops.matmul(x, np.ones((3, 2), "float32")), np.zeros((0, 2))),
    "matmul over nothing": (lambda x: ops.matmul(ops.transpose(x), x), np.zeros((3, 3))),
    "reshape": (lambda x: ops.reshape(x, (3, 0, 1)), np.zeros((3, 0, 1))),
    "sort": (ops.sort, np.zeros((0, 3))),
    "cumsum": (lambda x: ops.cumsum(x, 0), np.zeros((0, 3))),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_arrays(run, name):
    function, expected = EMPTY[name]
    if (run.backend, name) == ("openvino", "matmul over nothing"):
        pytest.skip("the CPU plugin cannot compile a product over an axis of size 0")
    out = run(function, np.zeros((0, 3), "float32"))
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out, expected)


def test_the_maximum_of_nothing_is_refused(backend):
    if backend in (*GRAPHS, "tensorflow"):
        pytest.skip("graphs with open sizes cannot tell: the least number comes back")
    with _kinds.backend(backend), pytest.raises((ValueError, IndexError, RuntimeError)):
        ops.max(ops.zeros((0, 3)), axis=0)


def test_segments_with_repeated_ids_are_summed(run):
    out = run(lambda x, ids: ops.segment_sum(x, ids, 4), np.float32([1, 2, 4, 8]), np.int32([3, 0, 3, 3]))
    np.testing.assert_array_equal(out, [2, 0, 0, 13])


def test_segments_leave_out_ids_out_of_range(run):
    ids = np.int32([-1, 0, -5, 7])
    out = run(lambda x, ids: ops.segment_sum(x, ids, 3), np.float32([1, 2, 4, 8]), ids)
    np.testing.assert_array_equal(out, [2, 0, 0])
    out = run(lambda x, ids: ops.segment_max(x, ids, 3), np.float32([1, 2, 4, 8]), ids)
    np.testing.assert_array_equal(out, [2, -np.inf, -np.inf])


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b not in GRAPHS])
def test_integers_wrap(backend):
    with _kinds.backend(backend), np.errstate(over="ignore"):
        top = ops.convert_to_tensor(np.int32([2**31 - 1]))
        assert ops.convert_to_numpy(ops.add(top, 1)) == -(2**31)
        byte = ops.convert_to_tensor(np.uint8([250]))
        assert ops.convert_to_numpy(ops.add(byte, byte)) == 244


def test_argmax_of_ties_is_the_first(run):
    x = np.float32([[1, 3, 3, 0], [2, 2, 2, 2]])
    np.testing.assert_array_equal(run(lambda x: ops.argmax(x, -1), x), [1, 0])
    np.testing.assert_array_equal(run(lambda x: ops.argmin(-x, -1), x), [1, 0])
    np.testing.assert_array_equal(run(lambda x: ops.top_k(x, 2)[1], x), [[1, 2], [0, 1]])


def test_argsort_is_stable(run):
    x = np.random.default_rng(0).integers(0, 3, 200).astype("int32")
    np.testing.assert_array_equal(run(ops.argsort, x), np.argsort(x, kind="stable"))


def test_halves_round_to_even(run):
    x = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(run(ops.round, x), [-2, -2, 0, 0, 2, 2, 4])


def test_integers_are_rounded_to_tens(run):
    x = np.int32([13, 25, -17, 35, -25, 16777225, 0])
    np.testing.assert_array_equal(run(lambda x: ops.round(x, -1), x)[[0, 1, 2, 3, 4, 6]], [10, 20, -20, 40, -20, 0])
    np.testing.assert_array_equal(run(lambda x: ops.round(x, 1), x), x)


def test_division_and_remainder_have_the_sign_of_the_divisor(run):
    x, y = np.int32([7, -7, 7, -7]), np.int32([2, 2, -2, -2])
    np.testing.assert_array_equal(run(ops.floor_divide, x, y), [3, -4, -4, 3])
    np.testing.assert_array_equal(run(ops.mod, x, y), [1, 1, -1, -1])
    np.testing.assert_array_equal(run(ops.mod, x.astype("float32"), y.astype("float32")), [1, 1, -1, -1])


def test_nan_wins_in_extremes(run):
    x, y = np.float32([np.nan, 1, 2]), np.float32([1, np.nan, 3])
    np.testing.assert_array_equal(run(ops.maximum, x, y), [np.nan, np.nan, 3])
    np.testing.assert_array_equal(run(ops.minimum, x, y), [np.nan, np.nan, 2])
    if run.backend != "openvino":  # its reductions drop NaN
        assert np.isnan(run(ops.max, x))


def test_one_hot_of_an_index_out_of_range_is_zero(run):
    out = run(lambda x: ops.one_hot(x, 3), np.int32([-1, 0, 2, 3]))
    np.testing.assert_array_equal(out, [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_attention_of_a_causal_mask_sees_no_later_position(run):
    q, k, v = np.random.default_rng(0).normal(size=(3, 1, 4, 2, 3)).astype("float32")
    out = run(lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True), q, k, v)
    np.testing.assert_allclose(out[:, 0], v[:, 0], rtol=1e-5)
    v[:, 2:] = 1e3
    again = run(lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True), q, k, v)
    np.testing.assert_array_equal(out[:, :2], again[:, :2])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_accumulates_in_single(run, dtype):
    x = np.full((1, 8192), 1.0, jax.numpy.dtype(dtype))  # a running sum in the type itself stops at 2048 or 256
    assert np.asarray(run(lambda x: ops.cast(ops.sum(x), "float32"), x)) == 8192
    assert np.asarray(run(lambda x: ops.cast(ops.mean(x), "float32"), x)) == 1
    assert np.asarray(run(lambda x: ops.cast(ops.matmul(x, ops.transpose(x)), "float32"), x)).item() == 8192


SIZES = {
    "depth_to_space": lambda: ops.depth_to_space(np.ones((1, 2, 2, 8), "float32"), 0),
    "space_to_depth": lambda: ops.space_to_depth(np.ones((1, 2, 2, 8), "float32"), -2),
    "stft": lambda: ops.stft(np.ones(10, "float32"), 4, 0, 4),
    "istft": lambda: ops.istft((np.ones((3, 3), "float32"),) * 2, 4, -1, 4),
    "cdist": lambda: ops.cdist(np.ones((3, 1), "float32"), np.ones((5, 4), "float32")),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_cannot_be_are_named(name):
    with pytest.raises(ValueError, match=rf"^ops\.{name}: expected .*; received"):
        SIZES[name]()
