"""The TensorFlow adapter against JAX's rules: eagerly, in graphs with unknown sizes, and under XLA."""

from __future__ import annotations

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

import kfun
from kfun import ops, random
from kfun.backends import _tensorflow_convolution as convolution
from kfun.backends.tensorflow import KIND
from kfun.ops._dispatch import OPS
from tests.backends import cases

Point = collections.namedtuple("Point", "x y")


def _tensor(x):
    return KIND.convert(x)


def _run(case, dtype):
    with kfun.backend("tensorflow"):
        out = OPS[case.op].public(*cases.arguments(case, dtype, _tensor), **case.kwargs)
    return [ops.convert_to_numpy(leaf) for leaf in jax.tree.leaves(out)]


def _close(actual, wanted, tolerance=1e-5):
    for a, w in zip(jax.tree.leaves(actual), jax.tree.leaves(wanted), strict=True):
        a, w = np.asarray(a), np.asarray(w)
        assert (a.dtype, a.shape) == (w.dtype, w.shape)
        np.testing.assert_allclose(a, w, tolerance, tolerance)


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
    args = cases.arguments(case, "float32", _tensor)
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
    drawn = OPS[op].public(_tensor(cases.KEY), *args, **kwargs).numpy()
    assert drawn.dtype == wanted.dtype
    np.testing.assert_array_equal(drawn, wanted)


@pytest.mark.parametrize(("op", "args", "kwargs"), cases.CLOSE)
def test_random_normals_are_those_of_jax_within_rounding(op, args, kwargs):
    wanted = cases.drawn(op, args, kwargs)
    cases.check_same([OPS[op].public(_tensor(cases.KEY), *args, **kwargs).numpy()], [wanted], op)


@pytest.mark.parametrize("compiled", [False, True])
def test_random_bits_in_a_graph(compiled):
    def draw(key):
        key, other = tf.unstack(random.split(key), 2)
        places = random.permutation(key, 50), random.randint(other, (20,), 3, 77)
        return random.uniform(key, (5, 3), minval=-0.05, maxval=0.05), random.fold_in(key, 7), *places

    drawn = tf.function(draw, jit_compile=compiled, autograph=False)(_tensor(cases.KEY))
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
    keys = random.split(_tensor(cases.KEY), 5)
    wanted = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 3), (4,)))(jnp.asarray(keys.numpy()))
    drawn = kfun.vmap(lambda k: random.uniform(random.fold_in(k, 3), (4,)))(keys)
    np.testing.assert_array_equal(drawn, wanted)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([2], tf.uint32), tf.TensorSpec([None, 3])])
    def masked(key, x):
        rows = ops.shape(x)[0]
        return random.bernoulli(key, 0.3, ops.shape(x)), random.permutation(key, rows)

    mask, order = masked(_tensor(cases.KEY), tf.zeros((70, 3)))
    np.testing.assert_array_equal(mask, jax.random.bernoulli(jnp.asarray(cases.KEY), 0.3, (70, 3)))
    np.testing.assert_array_equal(order, jax.random.permutation(jnp.asarray(cases.KEY), 70))


def test_bounds_that_are_tensors():
    key, ours = _tensor(cases.KEY), jnp.asarray(cases.KEY)
    low = [0.5, -1.0]
    _close(
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


# Op calls with the axes of their arrays that are unknown in a graph.
UNKNOWN = {
    "reshape": (lambda x: ops.reshape(x, (ops.shape(x)[0], -1, 2)), [(2, 3, 4)]),
    "broadcast": (lambda x, y: ops.broadcast_to(y, ops.shape(x)), [(2, 3), (1, 3)]),
    "zeros": (lambda x: ops.add(x, ops.zeros(ops.shape(x))), [(2, 3)]),
    "full_like": (lambda x: ops.full_like(x, 2), [(2, 3)]),
    "expand_dims": (lambda x: ops.expand_dims(x, (0, -1)), [(2, 3)]),
    "concatenate": (lambda x, y: ops.concatenate([x, y], 1), [(2, 3, 4), (2, 1, 4)]),
    "split": (lambda x: ops.split(x, 3, 1), [(2, 6, 4)]),
    "split at": (lambda x: ops.split(x, [1, 3], 1), [(2, 6, 4)]),
    "getitem": (lambda x: ops.getitem(x, (slice(None), slice(1, ops.shape(x)[1]))), [(2, 6, 4)]),
    "take": (lambda x: ops.take(x, np.array([-1, 0]), 1), [(2, 6, 4)]),
    "take_along_axis": (lambda x: ops.take_along_axis(x, ops.argsort(x, 1), 1), [(2, 6, 4)]),
    "sort": (lambda x: ops.sort(x, 1), [(2, 6, 4)]),
    "pad": (lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0)), "reflect"), [(2, 6, 4)]),
    "pad with a number": (lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0)), constant_values=3), [(2, 6, 4)]),
    "roll": (lambda x: ops.roll(x, 2, 1), [(2, 6, 4)]),
    "repeat": (lambda x: ops.repeat(x, 2, 1), [(2, 6, 4)]),
    "tile": (lambda x: ops.tile(x, (2, 1, 1, 2)), [(2, 6, 4)]),
    "tril": (ops.tril, [(2, 5, 4)]),
    "slice": (lambda x: ops.slice(x, (0, 3, 0), (1, 2, 2)), [(2, 6, 4)]),
    "slice_update": (lambda x, y: ops.slice_update(x, (0, 3, 1), y), [(2, 6, 4), (2, 2, 2)]),
    "arange": (lambda x: ops.multiply(x, ops.expand_dims(ops.arange(ops.shape(x)[1]), -1)), [(2, 6, 4)]),
    "matmul": (lambda x: ops.matmul(x, np.ones((4, 3), np.float32)), [(2, 6, 4)]),
    "softmax": (lambda x: ops.softmax(x, (1, 2)), [(2, 6, 4)]),
    "batch_normalization": (lambda x: ops.batch_normalization(x, *ops.moments(x, (0, 1)), -1), [(2, 6, 4)]),
    "layer_normalization": (lambda x: ops.layer_normalization(x, np.arange(4.0, dtype="f")), [(2, 6, 4)]),
    "layer_normalization over time": (lambda x: ops.layer_normalization(x, axis=(1, 2)), [(2, 6, 4)]),
    "attention": (lambda x: ops.dot_product_attention(x, x, x, is_causal=True), [(2, 6, 2, 4)]),
    "conv": (lambda x: ops.conv(x, _kernel(3, 2, 4, 5), 2, "same"), [(2, 6, 7, 4)]),
    "conv in groups": (lambda x: ops.conv(x, _kernel(3, 2, 2, 4), 2, "same"), [(2, 6, 7, 4)]),
    "conv, 1-d, causal": (
        lambda x: ops.conv(ops.pad(x, ((0, 0), (4, 0), (0, 0))), _kernel(3, 4, 5), dilation_rate=2),
        [(2, 6, 4)],
    ),
    "conv, dilated strides": (lambda x: ops.conv(x, _kernel(3, 2, 4, 5), 2, "same", None, 2), [(2, 6, 7, 4)]),
    "depthwise_conv": (lambda x: ops.depthwise_conv(x, _kernel(3, 2, 4, 2), (1, 2), "same"), [(2, 6, 7, 4)]),
    "conv_transpose": (lambda x: ops.conv_transpose(x, _kernel(3, 2, 5, 4), 2, "same"), [(2, 6, 7, 4)]),
    "max_pool": (lambda x: ops.max_pool(x, 3, 2, "same"), [(2, 6, 7, 4)]),
    "average_pool, 3-d": (lambda x: ops.average_pool(x, 2, 1, "same"), [(2, 3, 4, 5, 2)]),
    "resize": (lambda x: ops.resize(x, (9, 8)), [(2, 6, 7, 4)]),
    "resize by cubics": (lambda x: ops.resize(x, (9, 8), "bicubic"), [(2, 6, 7, 4)]),
    "lstm": (
        lambda x: ops.lstm(x, *[np.zeros((2, 3), "f")] * 2, _kernel(4, 12), _kernel(3, 12), reverse=True),
        [(2, 6, 4)],
    ),
    "gru": (lambda x, h: ops.gru(x, h, _kernel(4, 9), _kernel(3, 9), _kernel(2, 9)), [(2, 6, 4), (2, 3)]),
}
# The rest is slow: a compilation each.
QUICK = {
    *("reshape", "zeros", "concatenate", "split at", "getitem", "take_along_axis", "pad", "slice_update", "softmax"),
    *("layer_normalization", "attention", "conv", "conv in groups", "conv_transpose", "lstm"),
}
COMPILED = ("take_along_axis", "pad with a number", "slice_update", "conv", "attention")


def _quick(names, quick):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def _kernel(*shape):
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def _values(shapes):
    return [np.random.default_rng(i).normal(size=s).astype(np.float32) for i, s in enumerate(shapes)]


def _spec(array, known):
    """Batch, time and spatial axes unknown; the last `known` ones, channels and heads, are not."""
    free = array.ndim - known
    return tf.TensorSpec([*[None] * free, *array.shape[free:]], array.dtype)


def _scalar(call):
    def loss(*args):
        return sum(ops.sum(ops.multiply(y, y)) for y in jax.tree.leaves(call(*args)))

    return loss


@pytest.mark.parametrize("name", _quick(UNKNOWN, QUICK))
def test_in_graphs_with_unknown_sizes(name):
    call, shapes = UNKNOWN[name]
    values = _values(shapes)

    @tf.function(autograph=False, input_signature=[_spec(v, 2 if name == "attention" else 1) for v in values])
    def run(*args):
        return call(*args), kfun.grad(_scalar(call))(*args)

    wanted = call(*map(jnp.asarray, values)), jax.grad(_scalar(call))(*map(jnp.asarray, values))
    with kfun.backend("tensorflow"):
        found = run(*map(_tensor, values))
    _close(found, wanted, 1e-4)


@pytest.mark.parametrize("name", _quick(UNKNOWN, COMPILED))
def test_compiled_by_xla(name):
    call, shapes = UNKNOWN[name]
    values = _values(shapes)

    @tf.function(jit_compile=True, autograph=False)
    def run(*args):
        return call(*args), kfun.grad(_scalar(call))(*args)

    wanted = call(*map(jnp.asarray, values)), jax.grad(_scalar(call))(*map(jnp.asarray, values))
    with kfun.backend("tensorflow"):
        found = run(*map(_tensor, values))
    _close(found, wanted, 1e-4)


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
    loss = _scalar(lambda x, k: ops.conv(x, k, 2, "same"))
    x, kernel = _values([(2, 6, 7, 4), (3, 2, 2, 6)])
    wanted = jax.grad(loss, (0, 1))(jnp.asarray(x), jnp.asarray(kernel))
    _close(kfun.grad(loss, (0, 1))(_tensor(x), _tensor(kernel)), wanted, 1e-4)


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
        t, j = ops.cast(_tensor(x), dtype), jnp.asarray(x).astype(dtype)
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
    np.testing.assert_array_equal(ops.getitem(_tensor(x), index), x[index])


def test_conversion():
    assert _tensor([1.5, 2]).dtype == tf.float32
    assert _tensor([[1, 2]]).dtype == tf.int32
    assert _tensor(2**40).dtype == tf.int64
    assert _tensor([2**40]).dtype == tf.int64
    assert _tensor(1j).dtype == tf.complex64
    assert _tensor(np.ones(3)).dtype == tf.float64
    assert _tensor([tf.ones(2), 3 * tf.ones(2, tf.float16)]).shape == (2, 2)
    assert _tensor(np.asarray(["a"])).dtype == tf.string
    for name in ("bfloat16", "uint32", "bool", "float8_e4m3fn", "float8_e5m2"):
        data = np.asarray(jnp.array([0, 1, 1]).astype(name))
        made = ops.cast(_tensor([0, 1, 1]), name)
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


def _control(array):
    """Results of each control flow op on arrays that `array` makes."""
    xs, start = array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), array([0.5, -0.5])

    def body(carry, x):
        total = ops.add(ops.multiply(carry["h"], 0.5), x[0])
        return {"h": total, "none": None}, Point(total, ops.sum(total))

    init = {"h": start, "none": None}
    yield ops.scan(body, init, (xs, None))
    yield ops.scan(body, init, (xs, None), reverse=True)
    yield ops.scan(lambda c, _: (ops.multiply(c, 2), None), start, length=3)
    yield ops.scan(body, init, (xs[:0], None))
    grow = (lambda i, v: ops.less(i, 4), lambda i, v: (ops.add(i, 1), ops.multiply(v, 2)))
    yield ops.while_loop(*grow, (0, start))
    yield ops.while_loop(*grow, [0, start], maximum_iterations=2)
    yield ops.while_loop(lambda v: ops.less(ops.sum(v), 9.0), lambda v: ops.add(v, 1.0), start)
    yield ops.fori_loop(0, 3, lambda i, v: ops.add(ops.multiply(v, i), ops.getitem(xs, i)), start)
    for pred in (True, False):
        yield ops.cond(array(pred), lambda: (xs, start), lambda: (ops.multiply(xs, 2), start))
    yield ops.stop_gradient({"a": xs, "b": [start, None]})
    yield ops.vectorized_map(lambda t: {"y": ops.sum(t[0]), "n": None}, (xs, None))


def test_control_flow_is_that_of_jax():
    wanted = list(_control(jnp.asarray))
    _close(list(_control(_tensor)), wanted)
    _close(tf.function(lambda: list(_control(_tensor)), autograph=False)(), wanted)


@pytest.mark.parametrize(
    ("reverse", "unroll", "compiled"), [(False, 1, False), (True, 4, False), (False, 4, True), (True, 1, True)]
)
def test_long_scans(reverse, unroll, compiled):
    xs, start = _values([(43, 3), (3,)])

    def run(xs, start):
        def body(carry, x):
            carry = ops.tanh(ops.add(carry, x))
            return carry, {"y": ops.multiply(carry, 2.0), "n": ops.greater(carry, 0)}

        return ops.scan(body, start, xs, reverse=reverse, unroll=unroll)

    def both(xs, start):
        return run(xs, start), kfun.grad(_scalar(lambda *a: jax.tree.leaves(run(*a))[::2]), (0, 1))(xs, start)

    wanted = both(jnp.asarray(xs), jnp.asarray(start))
    _close(tf.function(both, autograph=False, jit_compile=compiled)(_tensor(xs), _tensor(start)), wanted, 1e-4)


def test_a_long_scan_is_one_loop_and_a_short_one_none():
    def nodes(n, unroll=1):
        run = tf.function(lambda xs: ops.scan(lambda c, x: (c + x, c * x), xs[0], xs, unroll=unroll), autograph=False)
        graph = run.get_concrete_function(tf.TensorSpec([n, 3])).graph
        return collections.Counter(op.type for op in graph.get_operations())

    assert nodes(8)["Mul"] == 8
    assert nodes(40, unroll=True)["Mul"] == 40
    assert "StatelessWhile" in nodes(100) or "While" in nodes(100)
    assert "StatelessWhile" in nodes(None) or "While" in nodes(None)


def test_gradients_of_loops():
    def power(x):
        return ops.fori_loop(0, 3, lambda i, v: ops.multiply(v, x), x)

    x = np.float32(1.5)
    _close(kfun.grad(power)(_tensor(x)), np.float32(4 * 1.5**3))
    for compiled in (False, True):
        graph = tf.function(kfun.grad(kfun.grad(power)), autograph=False, jit_compile=compiled)
        _close(graph(_tensor(x)), np.float32(12 * 1.5**2))


PARAMS = {"w": np.array([[0.3, -0.2], [0.1, 0.5]], np.float32), "none": None, "b": [np.array([0.1, 0.2], np.float32)]}
INPUT = np.array([[1.0, 2.0], [-1.0, 0.5], [0.3, 0.2]], np.float32)


def _net(params, x):
    return ops.tanh(ops.add(ops.matmul(x, params["w"]), params["b"][0]))


def _loss(params, x):
    y = _net(params, x)
    return ops.sum(ops.multiply(y, y)), {"y": y, "tag": None}


def _value(params, x):
    return _loss(params, x)[0]


TRANSFORMED = {
    "grad": kfun.grad(_value),
    "grad of several": kfun.grad(_loss, (0, 1), has_aux=True),
    "grad of one array given twice": lambda p, x: kfun.grad(lambda a, b: ops.sum(a * b * b), (0, -1))(x, x),
    "grad of a gather": lambda p, x: kfun.grad(lambda x: ops.sum(ops.square(ops.take(x, [0, 0], 0))))(x),
    "value_and_grad": kfun.value_and_grad(_value, 1),
    "value_and_grad with aux": kfun.value_and_grad(_loss, has_aux=True),
    "grad of grad": lambda p, x: kfun.grad(lambda x: ops.sum(kfun.grad(_value, 1)(p, x)))(x),
    "vjp": lambda p, x: kfun.vjp(_net, p, x)[1](_net(p, x)),
    "vjp of a tree": lambda p, x: kfun.vjp(lambda x: {"y": _net(p, x), "n": None}, x)[1]({"y": x, "n": None}),
    "vjp with aux": lambda p, x: kfun.vjp(_loss, p, x, has_aux=True)[::2],
    "jvp": lambda p, x: kfun.jvp(_net, (p, x), (p, x)),
    "jvp of grad": lambda p, x: kfun.jvp(lambda x: kfun.grad(_value, 1)(p, x), (x,), (x,)),
    "grad of jvp": lambda p, x: kfun.grad(lambda x: ops.sum(kfun.jvp(lambda x: _net(p, x), (x,), (x,))[1]))(x),
    "jacrev": kfun.jacrev(_net),
    "jacrev of several": kfun.jacrev(lambda p, x: Point(_net(p, x), None), (0, 1)),
    "jacfwd": kfun.jacfwd(lambda p, x: Point(_net(p, x), None), (0, 1)),
    "hessian": kfun.hessian(_value),
    "hessian of several": kfun.hessian(_value, (0, 1)),
    "vmap": kfun.vmap(_net, (None, 0), 1),
    "vmap over a prefix": lambda p, x: kfun.vmap(lambda t: t["x"] * 2, ({"x": 1, "k": None},))({"x": x, "k": p}),
    "vmap of vmap": lambda p, x: kfun.vmap(lambda a: kfun.vmap(lambda b: ops.sum(a * b))(x))(x),
    "vmap of a convolution": lambda p, x: kfun.vmap(lambda k: ops.conv(x[None], k, padding="same"))(
        p["w"][:, None, :, None]
    ),
    "per-example gradients": kfun.vmap(kfun.grad(_value), (None, 0)),
    "vmap of a scan": lambda p, x: kfun.vmap(lambda r: ops.scan(lambda c, v: (c * v, c), r[0], r))(x),
    "jit": kfun.jit(_loss),
    "jit of grad": kfun.jit(kfun.value_and_grad(_loss, has_aux=True)),
    "grad of jit": kfun.grad(kfun.jit(_value)),
    "jit of vmap": kfun.jit(kfun.vmap(_net, (None, 0))),
    "checkpoint": lambda p, x: kfun.grad(lambda p: ops.sum(kfun.checkpoint(_net)(p, x)))(p),
    "checkpoint of a closure": lambda p, x: kfun.grad(lambda p: ops.sum(kfun.checkpoint(lambda x: _net(p, x))(x)))(p),
    "checkpoint twice": lambda p, x: kfun.jacrev(kfun.grad(lambda x: ops.sum(kfun.checkpoint(_net)(p, x))))(x),
    "checkpoint in jit": lambda p, x: kfun.jit(kfun.grad(lambda p: ops.sum(kfun.checkpoint(lambda x: _net(p, x))(x))))(
        p
    ),
    "attention's hessian": lambda p, x: kfun.hessian(
        lambda x: ops.sum(ops.square(ops.dot_product_attention(*(x[None, :, None, :],) * 3)))
    )(x),
}


SLOW = ("attention's hessian", "hessian of several", "jvp of grad", "jacrev of several")


@pytest.mark.parametrize("name", _quick(TRANSFORMED, TRANSFORMED.keys() - SLOW))
def test_transformations_are_those_of_jax(name):
    call = TRANSFORMED[name]
    wanted = call(jax.tree.map(jnp.asarray, PARAMS), jnp.asarray(INPUT))
    _close(call(jax.tree.map(_tensor, PARAMS), _tensor(INPUT)), wanted, 1e-4)


def test_jit_traces_once_for_each_form():
    traces = []

    @kfun.jit
    def double(tree, by):
        traces.append(1)
        return {"out": ops.multiply(tree["x"], by), "none": None}

    for value in (1.0, 2.0):
        double({"x": value * tf.ones(3)}, tf.constant(value))
    assert len(traces) == 1
    assert double({"x": tf.ones(4)}, 2)["out"].numpy().tolist() == [2.0] * 4
    assert len(traces) == 2

    fixed = kfun.jit(lambda x, n, *, mode: (traces.append(1), ops.repeat(x, n) if mode == "r" else x)[1], 1, "mode")
    assert fixed(tf.ones(2), 3, mode="r").shape == (6,)
    assert fixed(tf.ones(2), 3, mode="n").shape == (2,)
    assert fixed(tf.ones(2), 3, mode="n").shape == (2,)
    assert len(traces) == 4


def test_checkpoint_runs_again():
    runs = []

    def layer(x):
        runs.append(tf.executing_eagerly())
        return ops.tanh(x)

    gradient = kfun.grad(lambda x: ops.sum(kfun.checkpoint(layer)(x)))(tf.ones(2))
    assert runs.count(True) == 2
    np.testing.assert_allclose(gradient, 1 - np.tanh([1.0, 1.0]) ** 2, 1e-6)


def test_a_training_step_is_that_of_jax():
    """One step of an MLP with dropout, compiled: dispatch, keys, gradients and an update over a tree."""

    def loss(params, key, x):
        h = ops.relu(_net(params, x))
        kept = random.bernoulli(random.fold_in(key, 1), 0.5, ops.shape(h))
        h = ops.layer_normalization(ops.where(kept, ops.divide(h, 0.5), 0.0))
        return ops.sum(ops.square(ops.softmax(h)))

    def step(params, key, x):
        value, gradients = kfun.value_and_grad(loss)(params, key, x)
        return value, jax.tree.map(lambda p, g: ops.subtract(p, ops.multiply(g, 0.1)), params, gradients)

    wanted = jax.jit(step)(jax.tree.map(jnp.asarray, PARAMS), jnp.asarray(cases.KEY), jnp.asarray(INPUT))
    values = jax.tree.map(_tensor, PARAMS), _tensor(cases.KEY), _tensor(INPUT)
    _close(kfun.jit(step)(*values), wanted, 1e-4)
    _close(tf.function(step, jit_compile=True, autograph=False)(*values), wanted, 1e-4)
