"""One promotion lattice on every backend: JAX's."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import dtypes, ops
from kfun.ops import _kinds
from tests.conftest import BACKENDS, GRAPHS

PROMOTED = ("bool", *dtypes.INTEGERS, *dtypes.FLOATS, *dtypes.COMPLEX)
COMMON = ("bool", "uint8", "int8", "int32", "float16", "bfloat16", "float32")
OTHERS = [b for b in BACKENDS if b not in ("jax", *GRAPHS)]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(PROMOTED, PROMOTED)))
def test_promote_is_jax_promote_types(a, b, x64):
    assert dtypes.promote(a, b) == jnp.promote_types(a, b).name


@pytest.mark.parametrize("dtype", PROMOTED)
@pytest.mark.parametrize("scalar", [True, 3, 2.5, 1j], ids=repr)
def test_weak_types_are_those_of_python_scalars(dtype, scalar):
    with jax.enable_x64(False):  # a weak result is settled to 32 bits
        narrow = jax.dtypes.canonicalize_dtype(dtypes.settle(dtypes.promote(dtype, dtypes.weak(scalar)))).name
        assert narrow == jnp.result_type(jnp.zeros((), jax.dtypes.canonicalize_dtype(dtype)), scalar).name


def test_three_types_are_promoted_together_and_not_in_pairs(x64):
    for a, b, c in itertools.product(COMMON, repeat=3):
        assert dtypes.promote(a, b, c) == jnp.result_type(a, b, c).name


def test_promotion_is_refused_where_it_would_hide_a_loss():
    with pytest.raises(TypeError, match=r"float8_e4m3fn.*ops.cast"):
        dtypes.promote("float8_e4m3fn", "float32")
    assert dtypes.promote("float8_e4m3fn", "float8_e4m3fn") == "float8_e4m3fn"


@pytest.mark.parametrize("dtype", [*PROMOTED, "float8_e4m3fn", "float8_e5m2"])
def test_names_of_every_framework(dtype):
    assert dtypes.name(dtype) == dtype
    assert dtypes.name(jnp.dtype(dtype)) == dtype
    if hasattr(np, dtype):
        assert dtypes.name(getattr(np, dtype)) == dtype


def test_names_of_python_types():
    assert [dtypes.name(t) for t in (bool, int, float, complex)] == ["bool", "int32", "float32", "complex64"]


@pytest.mark.parametrize("wrong", ["float31", object, 3.5, np.dtype("datetime64[s]")], ids=repr)
def test_unknown_names_are_refused(wrong):
    with pytest.raises(ValueError, match="unknown dtype"):
        dtypes.name(wrong)


def test_torch_and_tensorflow_types_have_names():
    torch, tf = pytest.importorskip("torch"), pytest.importorskip("tensorflow")
    for dtype in ("bool", "uint8", "int64", "float16", "bfloat16", "float32", "complex64", "float8_e4m3fn"):
        assert dtypes.name(getattr(torch, dtype)) == dtype
        assert dtypes.name(getattr(tf, dtype, None) or tf.dtypes.as_dtype(dtype)) == dtype


def result_dtype(backend, function, *arrays):
    with _kinds.backend(backend):
        return dtypes.name(function(*map(ops.convert_to_tensor, arrays)).dtype)


def pairs_agree(backend, names, functions):
    wrong = []
    for a, b in itertools.product(names, names):
        x, y = np.ones(2, jnp.dtype(a)), np.ones(2, jnp.dtype(b))
        expected = dtypes.promote(a, b)
        for function in functions:
            received = result_dtype(backend, function, x, y)
            if received != expected:
                wrong.append(f"{function.__name__}({a}, {b}) is {received}, not {expected}")
    assert wrong == []


@pytest.mark.parametrize("backend", OTHERS)
def test_two_operands_promote_alike(backend):
    def join(x, y):
        return ops.concatenate([x, y])

    def choose(x, y):
        return ops.where(np.bool_([True, False]), x, y)

    pairs_agree(backend, COMMON, (ops.multiply, ops.maximum, join, choose))


@pytest.mark.slow
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b not in GRAPHS])
def test_every_pair_of_types_promotes_alike(backend, x64):
    names = [n for n in PROMOTED if (backend, n) != ("torch", "uint64")]
    pairs_agree(backend, names, (ops.add, ops.multiply))


def test_torch_says_that_it_computes_nothing_with_uint64():
    torch = pytest.importorskip("torch")
    x = torch.ones(2, dtype=torch.uint64)
    for op in (ops.add, ops.less):
        with pytest.raises(TypeError, match=r"uint64.*ops\.cast"):
            op(x, x)


FLOATING = ["exp", "log", "sqrt", "tanh", "sin", "erf", "expm1", "mean", "var"]
KEEPING = ["negative", "abs", "square", "sum", "max", "cumsum", "relu", "sort", "flip"]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("dtype", [*COMMON, "int16"])
def test_one_operand_gives_the_type_that_jax_gives(backend, dtype):
    if dtype == "bool":
        names = [n for n in (*FLOATING, *KEEPING) if n in ("exp", "mean", "sum", "max", "cumsum", "flip")]
    else:
        names = [n for n in (*FLOATING, *KEEPING) if not (dtype.startswith("uint") and n == "negative")]
    x = np.ones(4, jnp.dtype(dtype))
    received = {n: result_dtype(backend, getattr(ops, n), x) for n in names}
    assert received == {n: result_dtype("jax", getattr(ops, n), x) for n in names}


_LARGE = np.array([1, 2**32 + 1])


@pytest.mark.parametrize("call", [
    ops.convert_to_tensor, lambda x: ops.convert_to_tensor(x, "int64"), lambda x: ops.convert_to_tensor(x.tolist()),
    lambda x: ops.take(jnp.eye(3), x, 0), lambda x: ops.getitem(jnp.eye(3), x),
    lambda x: ops.getitem(jnp.eye(3), (slice(None), x)), lambda x: ops.add(jnp.ones(2), x),
    lambda x: ops.concatenate([jnp.ones(2, "int32"), x]), lambda x: ops.one_hot(x, 3), lambda x: ops.cast(x, "int32"),
    lambda x: ops.arange(2**32, 2**32 + 2),
    lambda x: ops.convert_to_tensor(x.astype("uint64")), lambda x: ops.convert_to_tensor(-x),
    lambda x: kfun.tree.convert(x, "jax"), lambda x: kfun.tree.convert(x[1], "jax"),
    lambda x: kfun.layers.Embedding(3, 2).apply({"embeddings": jnp.ones((3, 2))}, {}, x),
])  # fmt: skip
def test_integers_beyond_32_bits_are_not_wrapped(call):
    with pytest.raises(OverflowError, match=r"4,294,967,29[67].* modulo 2\^32.*jax_enable_x64"):
        call(_LARGE)
    with jax.enable_x64(True):
        call(_LARGE)


def test_numpy_arrays_stay_as_they_are_on_the_host():
    assert ops.convert_to_numpy(_LARGE) is _LARGE
    assert kfun.tree.to_numpy({"a": _LARGE})["a"].dtype == "int64"
    if "torch" in BACKENDS:
        assert kfun.tree.convert(_LARGE, "torch").tolist() == _LARGE.tolist()


def test_integers_of_32_bits_pass():
    for x in (np.array([-(2**31), 2**31 - 1]), np.array([0, 2**32 - 1], "uint64"), np.zeros(0, "int64")):
        assert ops.convert_to_tensor(x).tolist() == x.tolist()


@pytest.mark.parametrize("data", [(_LARGE, np.ones(2)), [(_LARGE, np.ones(2))]], ids=["arrays", "stream"])
def test_batches_beyond_32_bits_are_not_wrapped(data):
    feed = kfun.training.feed.feed_of(data, 2)
    with pytest.raises(OverflowError, match="4,294,967,297"):
        list(feed.groups(1))
    with jax.enable_x64(True):
        assert next(iter(feed.groups(1))).batches[0].tolist() == [[1, 2**32 + 1]]
