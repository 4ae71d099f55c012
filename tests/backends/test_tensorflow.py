"""The TensorFlow adapter against JAX's rules: ops, conversions, errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

import kfun
from kfun import ops, random
from kfun.backends.tensorflow import convolution as convolution
from kfun.ops._dispatch import OPS
from tests.backends import cases
from tests.backends.tensorflow_tools import close, normals, scalar, tensor


def _run(case, dtype):
    with kfun.backend("tensorflow"):
        out = OPS[case.op].public(*cases.arguments(case, dtype, tensor), **case.kwargs)
    return [ops.convert_to_numpy(leaf) for leaf in jax.tree.leaves(out)]


def test_every_op_has_a_rule_or_a_body():
    assert not [op for op, how in ops.coverage("tensorflow").items() if how["tensorflow"].startswith("no")]


def _types():
    """The sweep, with those types slow whose rules differ from another's in nothing but the kernel."""
    for p in cases.SWEEP:
        case, dtype = p.values
        kept = not p.marks and (dtype in ("bool", "int32", "bfloat16") or dtype == case.dtypes[-1])
        yield pytest.param(case, dtype, marks=() if kept else pytest.mark.slow, id=f"{case}-{dtype}")


@pytest.mark.parametrize(("case", "dtype"), list(_types()))
def test_same_as_jax(case, dtype):
    wanted = cases.expected(case, dtype)
    if wanted is not None:
        cases.check_same(_run(case, dtype), wanted, f"{case} {dtype}")


# Where the adapter composes what the kernels lack; the catalogue of ops has the gradients of all.
COMPOSED = {
    *("conv", "depthwise_conv", "conv_transpose", "max_pool", "average_pool", "lstm", "dot_product_attention"),
    *("pad", "sort", "top_k", "take", "take_along_axis", "getitem", "slice", "slice_update", "segment_sum", "tril"),
    *("matmul", "einsum", "logaddexp", "where", "clip"),
}


def _gradients():
    """The first case of each; the rest is slow."""
    seen = set()
    for p in cases.DIFFERENTIABLE:
        case = p.values[0]
        first = case.op in COMPOSED and case.op not in seen
        seen.add(case.op)
        yield pytest.param(case, marks=() if first else pytest.mark.slow, id=str(case))


@pytest.mark.parametrize("case", list(_gradients()))
def test_same_gradient_as_jax(case):
    wanted = cases.expected_gradients(case)
    if wanted is None:
        return
    args = cases.arguments(case, "float32", tensor)
    floats = [a for a in args if isinstance(a, tf.Tensor) and a.dtype == tf.float32]
    with tf.GradientTape() as tape:
        tape.watch(floats)
        outputs = jax.tree.leaves(OPS[case.op].public(*args, **case.kwargs))
        total = sum(
            tf.reduce_sum(o * cases.weights(o.shape, i)) for i, o in enumerate(outputs) if o.dtype == tf.float32
        )
    for a, w in zip(tape.gradient(total, floats, unconnected_gradients="zero"), wanted, strict=True):
        scale = max(1.0, float(np.abs(w).max()))
        np.testing.assert_allclose(tf.convert_to_tensor(a), w, 1e-4, 1e-5 * scale, err_msg=str(case))


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.MADE)
def test_made_from_nothing(op, args, kwargs):
    wanted = np.asarray(OPS[op].public(*args, **kwargs))
    with kfun.backend("tensorflow"):
        made = OPS[op].public(*args, **kwargs)
    assert isinstance(made, tf.Tensor)
    cases.check_same([made.numpy()], [wanted], op)


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.EXACT)
def test_random_bits_are_those_of_jax(op, args, kwargs):
    wanted = cases.drawn(op, args, kwargs)
    drawn = OPS[op].public(tensor(cases.KEY), *args, **kwargs).numpy()
    assert drawn.dtype == wanted.dtype
    np.testing.assert_array_equal(drawn, wanted)


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.CLOSE)
def test_random_normals_are_those_of_jax_within_rounding(op, args, kwargs):
    wanted = cases.drawn(op, args, kwargs)
    cases.check_same([OPS[op].public(tensor(cases.KEY), *args, **kwargs).numpy()], [wanted], op)


@pytest.mark.parametrize("compiled", [False, True])
def test_random_bits_in_a_graph(compiled):
    def draw(key):
        key, other = tf.unstack(random.split(key), 2)
        places = random.permutation(key, 50), random.randint(other, (20,), 3, 77)
        return random.uniform(key, (5, 3), minval=-0.05, maxval=0.05), random.fold_in(key, 7), *places

    drawn = tf.function(draw, jit_compile=compiled, autograph=False)(tensor(cases.KEY))
    key, other = jax.random.split(jnp.asarray(cases.KEY))
    wanted = (
        jax.random.uniform(key, (5, 3), minval=-0.05, maxval=0.05),
        jax.random.fold_in(key, 7),
        jax.random.permutation(key, 50),
        jax.random.randint(other, (20,), 3, 77),
    )
    for d, w in zip(drawn, wanted, strict=True):
        np.testing.assert_array_equal(d, w)


def test_random_over_mapped_keys_and_unknown_sizes():
    keys = random.split(tensor(cases.KEY), 5)
    wanted = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 3), (4,)))(jnp.asarray(keys.numpy()))
    drawn = kfun.vmap(lambda k: random.uniform(random.fold_in(k, 3), (4,)))(keys)
    np.testing.assert_array_equal(drawn, wanted)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([2], tf.uint32), tf.TensorSpec([None, 3])])
    def masked(key, x):
        rows = ops.shape(x)[0]
        return random.bernoulli(key, 0.3, ops.shape(x)), random.permutation(key, rows)

    mask, order = masked(tensor(cases.KEY), tf.zeros((70, 3)))
    np.testing.assert_array_equal(mask, jax.random.bernoulli(jnp.asarray(cases.KEY), 0.3, (70, 3)))
    np.testing.assert_array_equal(order, jax.random.permutation(jnp.asarray(cases.KEY), 70))


def test_bounds_that_are_tensors():
    key, ours = tensor(cases.KEY), jnp.asarray(cases.KEY)
    low = [0.5, -1.0]
    close(
        random.uniform(key, (3, 2), "float32", tf.constant(low), 2.0),
        random.uniform(ours, (3, 2), "float32", jnp.array(low), 2.0),
    )
    drawn = random.randint(key, (300,), tf.constant(-3), tf.constant(9), "uint8")
    np.testing.assert_array_equal(drawn, jax.random.randint(ours, (300,), -3, 9, "uint8"))


def test_a_bad_key_is_refused():
    with pytest.raises(TypeError, match=r"expected a random key, uint32 \[2\]"):
        random.uniform(tf.zeros(2))
    with pytest.raises(TypeError, match=r"received uint32 \(3, 2\)"):
        random.bits(tf.zeros((3, 2), tf.uint32))


def test_shape_mixes_ints_and_tensors():
    found = []
    trace = tf.function(lambda x: found.append(ops.shape(x)), autograph=False)
    trace.get_concrete_function(tf.TensorSpec([None, 3, None]))
    batch, three, last = found[0]
    assert three == 3
    assert batch.dtype == last.dtype == tf.int32
    assert ops.shape(tf.zeros((2, 3))) == (2, 3)


def test_grouped_convolution_without_a_kernel(monkeypatch):
    """As on builds and devices that have no gradients of grouped convolutions."""
    monkeypatch.setattr(convolution, "_grouped_kernels_work", lambda dtype: False)
    loss = scalar(lambda x, k: ops.conv(x, k, 2, "same"))
    x, kernel = normals([(2, 6, 7, 4), (3, 2, 2, 6)])
    wanted = jax.grad(loss, (0, 1))(jnp.asarray(x), jnp.asarray(kernel))
    close(kfun.grad(loss, (0, 1))(tensor(x), tensor(kernel)), wanted, 1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_adds_in_float32(dtype):
    with kfun.backend("tensorflow"):
        x = ops.full((1, 64, 64, 1), 0.1, dtype)
        total = float(np.asarray(x).ravel()[0]) * 4096
        ones = ops.ones((64, 64, 1, 1), dtype)
    flat, column = ops.reshape(x, (1, -1)), ops.reshape(ones, (-1, 1))
    sums = [
        ops.sum(x),
        ops.multiply(ops.mean(x), 4096),
        ops.matmul(flat, column),
        ops.einsum("ij,jk->ik", flat, column),
        ops.conv(x, ones),
        ops.depthwise_conv(x, ones),
        ops.multiply(ops.average_pool(x, 64), 4096),
        ops.getitem(ops.cumsum(flat, 1), (0, -1)),
    ]
    for out in sums:
        assert out.dtype.name == dtype
        np.testing.assert_allclose(
            float(ops.sum(ops.cast(out, "float32"))), total, 1e-3 if dtype == "float16" else 8e-3
        )


def test_not_a_number_sorts_last_and_wins():
    nan = float("nan")
    x = np.array([3, nan, 1, 2, -nan, -np.inf, np.inf, -0.0, 0.0], np.float32)
    for dtype in ("float16", "bfloat16", "float32"):
        t, j = ops.cast(tensor(x), dtype), jnp.asarray(x).astype(dtype)
        for op in (ops.sort, ops.argsort, ops.argmax, ops.argmin):
            np.testing.assert_array_equal(ops.cast(op(t), "float32"), np.asarray(op(j), "float32"))
        np.testing.assert_array_equal(ops.top_k(t[:4], 4)[1], ops.top_k(j[:4], 4)[1])
    wide = tf.constant([2**31, 5, 2**32 - 1], tf.uint32)
    assert ops.argsort(wide).numpy().tolist() == [1, 0, 2]
    assert ops.sort(tf.constant([1.5, nan, -2.0], tf.float64)).numpy().tolist()[:2] == [-2.0, 1.5]


@pytest.mark.parametrize(
    "index",
    [
        np.s_[[2, 0]],
        np.s_[:, np.array([[0, -1], [1, 1]])],
        np.s_[..., np.array([3, 0])],
        np.s_[1, np.array([0, 2])],
        np.s_[np.array([0, 1]), :, 2],
        np.s_[None, :, np.array([2, 1]), None, 1:3],
        np.s_[..., np.array([0, 1]), 1],
        np.s_[-1, ..., 0],
    ],
)
def test_indexing_is_that_of_numpy(index):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    index = index if isinstance(index, tuple) else (index,)
    index = tuple(np.array(e) % 2 if isinstance(e, list) else e for e in index)
    np.testing.assert_array_equal(ops.getitem(tensor(x), index), x[index])


def test_conversion():
    assert tensor([1.5, 2]).dtype == tf.float32
    assert tensor([[1, 2]]).dtype == tf.int32
    assert tensor(2**40).dtype == tf.int64
    assert tensor([2**40]).dtype == tf.int64
    assert tensor(1j).dtype == tf.complex64
    assert tensor(np.ones(3)).dtype == tf.float64
    assert tensor([tf.ones(2), 3 * tf.ones(2, tf.float16)]).shape == (2, 2)
    assert tensor(np.asarray(["a"])).dtype == tf.string
    for name in ("bfloat16", "uint32", "bool", "float8_e4m3fn", "float8_e5m2"):
        data = np.asarray(jnp.array([0, 1, 1]).astype(name))
        made = ops.cast(tensor([0, 1, 1]), name)
        assert ops.convert_to_numpy(made).dtype == data.dtype
        np.testing.assert_array_equal(ops.convert_to_numpy(made), data)
        np.testing.assert_array_equal(ops.convert_to_numpy(ops.ones_like(made)), np.ones_like(data))
    variable = tf.Variable([1.0, 2.0])
    assert ops.add(variable, 1).numpy().tolist() == [2.0, 3.0]
    assert ops.convert_to_numpy(variable).tolist() == [1.0, 2.0]
    for op in (ops.abs, ops.square, ops.sort, ops.squeeze, ops.sum, ops.cast, ops.getitem):
        rest = {ops.cast: ("float32",), ops.getitem: (0,)}.get(op, ())
        assert isinstance(op(variable, *rest), tf.Tensor)
    with pytest.raises(TypeError, match=r"while a tf.function is traced"):
        tf.function(ops.convert_to_numpy, autograph=False)(tf.ones(2))


def test_weak_scalars_and_strong_zero_axis_tensors():
    half, small = tf.ones(2, tf.float16), tf.ones(2, tf.uint8)
    assert ops.add(half, 1.5).dtype == tf.float16
    assert ops.add(half, tf.constant(1.5)).dtype == tf.float32
    assert ops.add(tf.ones(2, tf.int32), 1.5).dtype == tf.float32
    assert ops.multiply(2, tf.ones(2, tf.int64)).dtype == tf.int64
    assert ops.add(small, True).dtype == tf.uint8
    assert ops.subtract(tf.constant([True]), True.__int__()).dtype == tf.int32
    in_graph = tf.function(lambda x: ops.multiply(2, x), autograph=False)
    assert in_graph(tf.ones(2, tf.int64)).dtype == tf.int64
    assert ops.divide(tf.ones(2, tf.float64), 2).dtype == tf.float64
    with pytest.raises(TypeError, match=r"ops\.cast"):
        ops.add(ops.cast(tf.ones(2), "float8_e5m2"), half)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.split(x, 2, 0), "does not divide"),
        (lambda x: ops.pad(x, 1, "wrap"), "expected mode"),
        (lambda x: ops.max_pool(x[None, :, :, None], 2, padding="full"), "expected padding"),
        (lambda x: ops.resize(x[None, :, :, None], (2, 2), "area"), "expected an interpolation"),
        (lambda x: ops.cast(x, "float31"), "unknown dtype"),
        (lambda x: ops.scan(lambda c, x: (c, x), x, x, length=7), "one length"),
        (lambda x: ops.scan(lambda c, x: (c, x), x), "expected xs or length"),
        (lambda x: ops.conv(x[None], np.ones((2, 2, 4), "f")), "does not divide into groups"),
        (lambda x: ops.qr(x, "raw"), "expected mode"),
        (kfun.vmap(lambda x: x, 0, None), "out_axes"),
        (kfun.vmap(lambda x: x, (0, 0)), "for 1 arguments"),
        (kfun.vmap(lambda x: x, None), "that is mapped"),
        (lambda x: kfun.vmap(lambda x, y: x)(x, x[:2]), "one size"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(tf.ones((3, 5)))


def _traced_cond(x):
    return tf.function(lambda p, x: ops.cond(p, lambda: (x, x), lambda: x), autograph=False)(tf.constant(True), x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.take(x, tf.constant([0.5])), "integer indices"),
        (lambda x: ops.scan(lambda c, _: (ops.cast(c, "float16"), None), x, x), "to stay float32"),
        (lambda x: ops.scan(lambda c, _: ((c, c), None), x, x), "keep the structure"),
        (lambda x: ops.fori_loop(0, 2, lambda i, v: v[:1], x), "to stay"),
        (lambda x: ops.while_loop(lambda v: ops.sum(v) < 20, lambda v: (v, v), x), "keep the structure"),
        (_traced_cond, "one structure"),
        (kfun.grad(lambda x: x), "floating scalar"),
        (lambda x: kfun.grad(ops.sum)(tf.constant([1, 2])), "received int32"),
        (lambda x: kfun.vjp(lambda x: (x, x), x)[1](x), "a cotangent of the structure"),
    ],
)
def test_type_errors_say_what_was_expected(call, message):
    with pytest.raises(TypeError, match=message):
        call(tf.ones((3, 5)))
