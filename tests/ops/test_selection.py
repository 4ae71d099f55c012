"""Selection, scattering and encodings: sparse results, sizes that depend on data, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kfun
from kfun import ops
from kfun.errors import UnsupportedOp
from kfun.ops._dispatch import OPS
from kfun.ops._kinds import kind_named
from tests.conftest import BACKENDS, GRAPHS

EAGER = [b for b in BACKENDS if b not in GRAPHS]
SPARSE = [b for b in ("jax", "tensorflow") if b in BACKENDS]


def dense(x):
    """The numbers of a sparse array of JAX or TensorFlow."""
    if hasattr(x, "todense"):
        return np.asarray(x.todense())
    import tensorflow as tf

    assert isinstance(x, tf.SparseTensor)
    return tf.sparse.to_dense(x).numpy()  # checks the order of the places


class TestSparse:
    @pytest.mark.parametrize("name", SPARSE)
    @pytest.mark.parametrize("axis", [-1, 0, 1])
    def test_one_hot(self, name, axis):
        x = np.int32([[0, 2, 4], [-1, 3, 0]])
        with kfun.backend(name):
            found = ops.one_hot(x, 4, axis, sparse=True)
            np.testing.assert_array_equal(dense(found), ops.convert_to_numpy(ops.one_hot(x, 4, axis)))
            assert found.dtype == "float32"
            assert ops.one_hot(x, 4, dtype="int32", sparse=True).dtype == "int32"

    @pytest.mark.parametrize("name", SPARSE)
    @pytest.mark.parametrize("x", [np.int32([2, 0, 2]), np.int32([[0, 2, 2], [-1, 9, 1]])], ids=["row", "rows"])
    def test_multi_hot(self, name, x):
        with kfun.backend(name):
            found = ops.multi_hot(x, 4, sparse=True)
            np.testing.assert_array_equal(dense(found), ops.convert_to_numpy(ops.multi_hot(x, 4)))

    @pytest.mark.parametrize("name", SPARSE)
    def test_multi_hot_on_other_axes_is_refused(self, name):
        with kfun.backend(name), pytest.raises(ValueError, match="axis=-1 for sparse=True"):
            ops.multi_hot(np.int32([[0, 1]]), 4, axis=0, sparse=True)

    @pytest.mark.parametrize("name", SPARSE)
    def test_bincount(self, name):
        x = np.int32([[1, 2], [4, 4]])
        with kfun.backend(name):
            found = ops.bincount(x, minlength=6, sparse=True)
            np.testing.assert_array_equal(dense(found), ops.convert_to_numpy(ops.bincount(x, minlength=6)))

    @pytest.mark.parametrize("name", [b for b in EAGER if b not in SPARSE])
    @pytest.mark.parametrize("op", ["one_hot", "multi_hot", "bincount"])
    def test_elsewhere_refused(self, name, op):
        settings = {} if op == "bincount" else {"num_classes": 3}
        with kfun.backend(name), pytest.raises(ValueError, match=rf"ops\.{op}: .*use sparse=False"):
            getattr(ops, op)(np.int32([1, 2]), **settings, sparse=True)

    def test_compiled_on_jax(self):
        x = np.int32([[0, 2, 2], [1, 3, 1]])
        jitted = kind_named("jax").transforms["jit"]
        found = jitted(lambda x: ops.multi_hot(x, 4, sparse=True))(x)
        np.testing.assert_array_equal(dense(found), ops.multi_hot(x, 4))


@pytest.mark.parametrize("name", EAGER)
class TestEveryEagerBackend:
    def test_unique_keeps_each_nan(self, name):
        with kfun.backend(name):
            values, counts = ops.unique(np.float32([np.nan, 1, np.nan, 1]), return_counts=True)
        np.testing.assert_array_equal(ops.convert_to_numpy(values), [1, np.nan, np.nan])
        np.testing.assert_array_equal(ops.convert_to_numpy(counts), [2, 1, 1])

    def test_nan_wins_in_a_segment(self, name):
        with kfun.backend(name):
            found = ops.segment_max(np.float32([1, np.nan, 2]), np.int32([0, 0, 1]), 2)
        np.testing.assert_array_equal(ops.convert_to_numpy(found), [np.nan, 2])

    def test_percentile_beyond_the_ends(self, name):
        with kfun.backend(name):
            assert float(ops.percentile(np.float32([3, 1, 2]), 150.0)) == 3
            assert float(ops.quantile(np.float32([3, 1, 2]), -1.0)) == 1

    def test_infinite_neighbours(self, name):
        with kfun.backend(name):
            x = np.float32([np.inf, np.inf, -np.inf, -np.inf, 0])
            found = ops.quantile(x, np.float32([0.0, 0.1, 0.3, 0.5, 0.6, 1.0]))
        np.testing.assert_array_equal(ops.convert_to_numpy(found), [-np.inf, -np.inf, -np.inf, 0, np.inf, np.inf])

    def test_many_half_precision_numbers_are_counted(self, name):
        with kfun.backend(name):
            counts, _ = ops.histogram(np.zeros(5000, "float16"), 1)
            mean = ops.nanmean(np.ones(5000, "float16"))
        assert float(counts[0]) == 5000
        assert float(mean) == 1


class TestRefused:
    x = np.float32([[1, 2, 3]])

    @pytest.mark.parametrize(
        ("call", "match"),
        [
            (lambda x: ops.quantile(x, 0.5, method="cubic"), "expected method linear"),
            (lambda x: ops.quantile(x, np.float32([[0.5]])), "one axis"),
            (lambda x: ops.argpartition(x, 3), "kth in"),
            (lambda x: ops.select([x > 1], []), "as many choices"),
            (lambda x: ops.scatter_update(x, np.int32([[0]]), x, "mean"), "reduction None, add"),
            (lambda x: ops.segment_max(x, np.int32([[0]]), 2), "one id for each"),
            (lambda x: ops.average(x, None, np.float32([1, 2, 3])), "weights of the shape"),
            (lambda x: ops.correlate(x, x), "1-d arrays"),
            (lambda x: ops.correlate(x[0], x[0], "most"), "mode 'valid'"),
            (lambda x: ops.histogram(x, 0), "at least one bin"),
            (lambda x: ops.histogram(x, 3, (2, 1)), "range"),
            (lambda x: ops.bincount(x[None]), "1 or 2 axes"),
            (lambda x: ops.cross(x, x[:, :1]), "2 or 3 components"),
            (lambda x: ops.diff(x, -1), "n of at least 0"),
            (ops.multi_hot, "num_classes"),
        ],
    )
    def test_with_what_was_expected(self, call, match):
        with kfun.backend("numpy"), pytest.raises(ValueError, match=match):
            call(self.x)

    def test_unknown_reductions_everywhere(self):
        for name in EAGER:
            with kfun.backend(name), pytest.raises(ValueError, match="reduction None, add"):
                ops.scatter_update(self.x, np.int32([[0]]), self.x, "mean")


def test_traced_sizes_are_refused_by_jax():
    jitted = kind_named("jax").transforms["jit"]
    for op in (ops.unique, ops.bincount, lambda x: ops.nonzero(x)[0]):
        with pytest.raises((TypeError, UnsupportedOp), match=r"[Cc]oncrete|traced"):
            jitted(op)(np.int32([1, 2]))


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_medians_of_arrays_of_other_frameworks(framework):
    pytest.importorskip(framework)
    x = kfun.tree.convert(np.float32([[1, 4, 2, 3], [5, 2, np.nan, 1]]), framework)
    for received, expected in (
        (ops.median(x, axis=1), [2.5, np.nan]),
        (ops.nanmedian(x, axis=1), [2.5, 2]),
        (ops.nanmedian(x), 2),
        (ops.quantile(x, 0.5, axis=1, method="midpoint"), [2.5, np.nan]),
        (ops.soft_shrink(x, 2.0), [[0, 2, 0, 1], [3, 0, 0, 0]]),  # of NaN 0, on every backend
    ):
        assert type(received) is type(x)
        np.testing.assert_allclose(ops.convert_to_numpy(received), expected)


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_bodies_take_python_numbers_beside_keys_of_other_frameworks(framework):
    pytest.importorskip(framework)
    key = kfun.tree.convert(np.uint32([0, 7]), framework)
    for name, numbers in (("random_gamma", (2.0,)), ("random_beta", (2, 0.5)), ("random_binomial", (20, 0.5))):
        received = OPS[name].body(key, *numbers, shape=(3,))
        assert type(received) is type(key)
        expected = OPS[name].public(np.uint32([0, 7]), *map(np.float32, numbers), shape=(3,))
        np.testing.assert_allclose(ops.convert_to_numpy(received), expected, 1e-5)
    one_hot = OPS["one_hot"].body(kfun.tree.convert(np.int32([2, 0]), framework), 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(one_hot), [[0, 0, 1], [1, 0, 0]])
