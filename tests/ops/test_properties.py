"""Properties over drawn shapes, axes and dtypes, held against NumPy and jax.numpy on every eager backend."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kfun import dtypes, ops
from kfun.ops import _kinds
from tests.conftest import BACKENDS, GRAPHS

# JAX compiles each op for each drawn shape.
EAGER = [pytest.param(b, marks=pytest.mark.slow if b == "jax" else ()) for b in BACKENDS if b not in GRAPHS]
every_backend = pytest.mark.parametrize("backend", EAGER)
DTYPES = ("bool", "uint8", "int32", "float16", "float32")
SMALL = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def filled(shape, dtype="float32", seed=0):
    values = np.random.default_rng(seed).integers(-4 if dtype != "uint8" else 0, 5, shape)
    return np.asarray(values, dtype)


def run(backend, function, *arrays):
    with _kinds.backend(backend):
        out = function(*map(ops.convert_to_tensor, arrays))
        leaves = out if isinstance(out, (list, tuple)) else [out]
        host = [np.asarray(ops.convert_to_numpy(leaf)) for leaf in leaves]
    return host if isinstance(out, (list, tuple)) else host[0]


def same(received, expected):
    expected = np.asarray(expected)
    assert (received.shape, received.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(received.astype("float64"), expected.astype("float64"), rtol=1e-6)


@st.composite
def shape_and_axes(draw, min_dims=1, min_side=1):
    shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=4, min_side=min_side, max_side=3))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1, max_size=len(shape)))
    signs = draw(st.lists(st.booleans(), min_size=len(axes), max_size=len(axes)))
    return shape, tuple(a - len(shape) if negative else a for a, negative in zip(axes, signs, strict=True))


@every_backend
@given(
    shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
    left=st.sampled_from(DTYPES),
    right=st.sampled_from(DTYPES),
    name=st.sampled_from(["add", "multiply", "maximum", "equal", "less"]),
)
def test_binary_ops_broadcast_and_promote(backend, shapes, left, right, name):
    x, y = filled(shapes.input_shapes[0], left), filled(shapes.input_shapes[1], right, 1)
    out = run(backend, getattr(ops, name), x, y)
    common = "bool" if name in ("equal", "less") else dtypes.promote(left, right)
    assert (out.shape, out.dtype) == (shapes.result_shape, common)
    wide = dtypes.promote(left, right)
    same(out, getattr(np, name)(x.astype(wide), y.astype(wide)))
    assert common == ("bool" if name in ("equal", "less") else jnp.promote_types(left, right).name)


@every_backend
@given(
    drawn=shape_and_axes(), keepdims=st.booleans(), name=st.sampled_from(["sum", "mean", "max", "min", "prod", "any"])
)
def test_reductions_over_any_axes(backend, drawn, keepdims, name):
    shape, axes = drawn
    x = filled(shape)
    same(
        run(backend, lambda x: getattr(ops, name)(x, axes, keepdims), x),
        getattr(np, name)(x, axis=axes, keepdims=keepdims),
    )


@every_backend
@given(drawn=shape_and_axes(), name=st.sampled_from(["argmax", "argmin", "cumsum", "sort", "flip"]))
def test_ops_along_one_axis(backend, drawn, name):
    shape, (axis, *_) = drawn
    x = filled(shape)
    expected = getattr(np, name)(x, axis=axis)
    same(
        run(backend, lambda x: getattr(ops, name)(x, axis=axis), x),
        expected.astype("int32") if name.startswith("arg") else expected,
    )


@every_backend
@given(shape=hnp.array_shapes(max_dims=4, max_side=4), data=st.data())
def test_reshape_with_one_open_size(backend, shape, data):
    target = data.draw(st.permutations([*shape, 1]))
    opened = data.draw(st.integers(0, len(target) - 1))
    newshape = tuple(-1 if i == opened else n for i, n in enumerate(target))
    x = filled(shape)
    same(run(backend, lambda x: ops.reshape(x, newshape), x), x.reshape(newshape))


@every_backend
@given(shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3), data=st.data())
def test_transpose_and_its_inverse(backend, shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    x = filled(shape, data.draw(st.sampled_from(DTYPES)))
    same(run(backend, lambda x: ops.transpose(x, axes), x), np.transpose(x, axes))
    back = tuple(int(i) for i in np.argsort(axes))
    same(run(backend, lambda x: ops.transpose(ops.transpose(x, axes), back), x), x)


@every_backend
@given(drawn=shape_and_axes(min_side=0), sizes=st.lists(st.integers(0, 3), min_size=1, max_size=4), data=st.data())
def test_concatenate_and_split_are_inverse(backend, drawn, sizes, data):
    shape, (axis, *_) = drawn
    parts = []
    for seed, size in enumerate(sizes):
        part = list(shape)
        part[axis] = size
        parts.append(filled(part, data.draw(st.sampled_from(["int32", "float32"])), seed))
    joined = run(backend, lambda *xs: ops.concatenate(xs, axis), *parts)
    common = dtypes.promote(*(part.dtype.name for part in parts))  # NumPy's own would be float64
    same(joined, np.concatenate(parts, axis).astype(common))
    cuts = [int(c) for c in np.cumsum(sizes)[:-1]]
    for part, again in zip(parts, run(backend, lambda x: ops.split(x, cuts, axis), joined), strict=True):
        np.testing.assert_array_equal(again, part)


@every_backend
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=3, max_side=4),
    mode=st.sampled_from(["constant", "reflect", "symmetric", "edge"]),
    data=st.data(),
)
def test_pad_in_every_mode(backend, shape, mode, data):
    widths = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=len(shape), max_size=len(shape))
    )
    x = filled(shape)
    same(run(backend, lambda x: ops.pad(x, widths, mode), x), np.pad(x, widths, mode))


@every_backend
@given(
    drawn=shape_and_axes(),
    chosen=hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    seed=st.integers(0, 99),
)
def test_take_along_any_axis(backend, drawn, chosen, seed):
    shape, (axis, *_) = drawn
    x, size = filled(shape), shape[axis]
    indices = np.asarray(np.random.default_rng(seed).integers(-size, size, chosen), "int32")
    same(run(backend, lambda x, i: ops.take(x, i, axis), x, indices), np.take(x, indices, axis))


@every_backend
@given(shape=SMALL, dtype=st.sampled_from(DTYPES), to=st.sampled_from(DTYPES))
def test_casts_keep_shape_and_values(backend, shape, dtype, to):
    x = np.abs(filled(shape, "int32")).astype(dtype)
    same(run(backend, lambda x: ops.cast(x, to), x), x.astype(to))
