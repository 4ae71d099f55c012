"""The NumPy adapter against JAX's rules."""

from __future__ import annotations

import subprocess
import sys

import jax
import numpy as np
import pytest

import kfun
from kfun import ops
from kfun.backends.common.tree import leaves
from kfun.ops._dispatch import OPS
from tests.backends import cases


@pytest.fixture(autouse=True)
def _numpy():
    with kfun.backend("numpy"):
        yield


def test_every_op_has_a_rule_or_a_body():
    assert not [op for op, how in ops.coverage("numpy").items() if how["numpy"].startswith("no")]


@pytest.mark.parametrize(("case", "dtype"), cases.SWEEP, ids=cases.labels(cases.SWEEP))
def test_same_as_jax(case, dtype):
    wanted = cases.expected(case, dtype)
    if wanted is not None:
        out = leaves(OPS[case.op].public(*cases.arguments(case, dtype, np.asarray), **case.kwargs))
        assert all(isinstance(leaf, np.ndarray) for leaf in out)
        cases.check_same(out, wanted, f"{case} {dtype}")


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.MADE)
def test_made_from_nothing(op, args, kwargs):
    made = OPS[op].public(*args, **kwargs)
    assert isinstance(made, np.ndarray)
    with kfun.backend("jax"):
        wanted = np.asarray(OPS[op].public(*args, **kwargs))
    cases.check_same([made], [wanted], op)


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.EXACT)
def test_random_bits_are_those_of_jax(op, args, kwargs):
    drawn, wanted = OPS[op].public(cases.KEY, *args, **kwargs), cases.drawn(op, args, kwargs)
    assert drawn.dtype == wanted.dtype
    np.testing.assert_array_equal(drawn, wanted)


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.CLOSE)
def test_random_normals_are_those_of_jax_within_rounding(op, args, kwargs):
    drawn, wanted = OPS[op].public(cases.KEY, *args, **kwargs), cases.drawn(op, args, kwargs)
    cases.check_same([drawn], [wanted], op)


def test_control_flow():
    xs, start = np.arange(6, dtype=np.float32).reshape(3, 2), np.float32([0.5, -0.5])
    total, ys = ops.scan(lambda c, x: (c + x, {"y": c * x}), start, xs, reverse=True)
    with kfun.backend("jax"):
        wanted = jax.lax.scan(lambda c, x: (c + x, {"y": c * x}), start, xs, reverse=True)
    np.testing.assert_allclose(total, wanted[0])
    np.testing.assert_allclose(ys["y"], wanted[1]["y"])
    assert ops.scan(lambda c, x: (c, c), start, xs[:0])[1].shape == (0, 2)
    count, grown = ops.while_loop(lambda i, v: i < 4, lambda i, v: (i + 1, v * 2), (0, start))
    assert count == 4
    np.testing.assert_allclose(grown, start * 16)
    assert ops.while_loop(lambda i: True, lambda i: i + 1, 0, maximum_iterations=7) == 7
    np.testing.assert_allclose(ops.fori_loop(0, 3, lambda i, v: v + i, start), start + 3)
    assert ops.cond(np.bool_(False), lambda: xs, lambda: start).shape == (2,)
    assert ops.stop_gradient({"x": xs, "none": None})["x"] is xs
    np.testing.assert_allclose(ops.vectorized_map(lambda t: ops.sum(t[0]), (xs,)), xs.sum(1))


def test_vmap_and_jit():
    xs = np.arange(6, dtype=np.float32).reshape(3, 2)
    mapped = kfun.vmap(lambda x, s: {"y": x * s, "s": s}, (1, None), {"y": -1, "s": None})(xs, np.float32(2))
    np.testing.assert_allclose(mapped["y"], xs * 2)
    assert mapped["s"] == 2
    assert kfun.jit(ops.sum)(xs) == 15
    with pytest.raises(ValueError, match="out_axes=None"):
        kfun.vmap(lambda x: x, 0, None)(xs)
    with pytest.raises(ValueError, match="sizes"):
        kfun.vmap(ops.add)(xs, xs[:2])
    with pytest.raises(kfun.UnsupportedOp, match="grad"):
        kfun.grad(ops.sum)(xs)


def test_types_of_lists_and_scalars():
    assert ops.convert_to_tensor([1.5]).dtype == np.float32
    assert ops.convert_to_tensor(np.array([1.5])).dtype == np.float64
    assert ops.add(np.ones(2, np.float16), 1.5).dtype == np.float16
    with pytest.raises(OverflowError, match="32 bits"):
        ops.convert_to_tensor([2**40])


KERAS_TRANSPOSED = [
    pytest.param(kernel, stride, padding, extra, marks=() if kernel in (2, 3) else pytest.mark.slow)
    for kernel in (1, 2, 3, 4, 5)
    for stride in (1, 2, 3)
    for padding in ("valid", "same")
    for extra in (None, 0, 1, 2)
    if extra is None or extra < stride
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "extra"), KERAS_TRANSPOSED)
def test_transposed_convolutions_are_those_of_keras(kernel, stride, padding, extra):
    import keras

    data = np.random.default_rng(0)
    x, k = (data.normal(size=shape).astype(np.float32) for shape in ((1, 5, 2), (kernel, 3, 2)))
    for dilation in (1, 2) if stride == 1 else (1,):
        options = {"output_padding": extra, "dilation_rate": dilation}
        wanted = np.asarray(keras.ops.conv_transpose(x, k, stride, padding, **options))
        for backend in ("numpy", "jax", "torch"):
            with kfun.backend(backend):
                got = ops.convert_to_numpy(ops.conv_transpose(x, k, stride, padding, **options))
            assert got.shape == wanted.shape, backend
            np.testing.assert_allclose(got, wanted, 1e-5, 1e-5, err_msg=backend)


def test_imports_no_framework():
    code = (
        "import sys, numpy, kfun\nwith kfun.backend('numpy'): kfun.ops.add(numpy.ones(2), 1)\n"
        "sys.exit(sum(m in sys.modules for m in ('torch', 'tensorflow', 'openvino')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
