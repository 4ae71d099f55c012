"""Convolution and pooling on JAX's CPU against XLA's own operations and their gradients, and against Keras."""

from __future__ import annotations

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from kfun import ops
from kfun.backends.common.windows import each
from kfun.backends.jax import sweep

LAYOUTS = {"channels_last": {1: "NWC", 2: "NHWC", 3: "NDHWC"}, "channels_first": {1: "NCW", 2: "NCHW", 3: "NCDHW"}}
KERNEL = {1: "WIO", 2: "HWIO", 3: "DHWIO"}


def xla_conv(x, w, strides=1, padding="valid", data_format="channels_last", dilation=1):
    n, io = x.ndim - 2, LAYOUTS[data_format][x.ndim - 2]
    return lax.conv_general_dilated(
        x,
        w,
        each(strides, n),
        padding.upper(),
        rhs_dilation=each(dilation, n),
        dimension_numbers=(io, KERNEL[n], io),
        feature_group_count=x.shape[io.index("C")] // w.shape[-2],
    )


def xla_pool(x, size, strides=None, padding="valid", data_format="channels_last"):
    n = x.ndim - 2
    size, strides = each(size, n), each(size if strides is None else strides, n)
    around = ((1, 1), ()) if data_format == "channels_first" else ((1,), (1,))
    window, step = (around[0] + s + around[1] for s in (size, strides))
    return lax.reduce_window(x, -jnp.inf, lax.max, window, step, padding.upper())


def images(draw, n, data_format, sizes=(7, 6, 5), channels=4, batch=2):
    size = sizes[:n]
    return draw.normal(size=(batch, channels, *size) if data_format == "channels_first" else (batch, *size, channels))


def agree(f, g, *arguments, order=1):
    """Values, and for `order` 1 what they send back for a vector as large as they are, are those of `g`.

    The vector is one for both: made of each one's own values it would multiply their rounding.
    """

    def both(f, vector, *a):
        y, back = jax.vjp(f, *a)
        return (y, *back(vector)) if order else (y,)

    def compared(*a):
        vector = jnp.cos(g(*a)) if order else None
        return both(f, vector, *a), both(g, vector, *a)

    arguments = [jnp.asarray(a, jnp.float32) for a in arguments]
    ours, theirs = jax.jit(compared)(*arguments)
    for got, expected in zip(ours, theirs, strict=True):
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        scale = float(jnp.abs(expected).max()) if expected.size else 1.0
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-6 * scale)


# spatial axes, kernel, stride, padding, dilation, groups, format
PRODUCT = [
    case
    for case in itertools.product(
        (1, 2, 3), (1, 2, 3), (1, 2, 3), ("valid", "same"), (1, 2), (1, 2, 4), ("channels_last", "channels_first")
    )
    if case[2] == 1 or case[4] == 1
]
SAMPLE = [PRODUCT[i] for i in np.random.default_rng(3).choice(len(PRODUCT), 16, replace=False)]
SAMPLE += [
    (2, (3, 2), (1, 2), "same", 1, 1, "channels_last"),
    (2, (2, 3), 1, "valid", (2, 1), 2, "channels_first"),
    (2, 1, 3, "same", 1, 1, "channels_last"),
    (2, 3, 2, "valid", 1, 4, "channels_last"),
]


def check(n, k, s, padding, d, groups, data_format):
    draw = np.random.default_rng([n, groups])
    x, w = images(draw, n, data_format), draw.normal(size=(*each(k, n), 4 // groups, 8))

    def ours(x, w):
        return ops.conv(x, w, s, padding, data_format, d)

    agree(ours, lambda x, w: xla_conv(x, w, s, padding, data_format, d), x, w)


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_value_and_gradients(case):
    check(*case)


@pytest.mark.parametrize(("strides", "window"), [(1, (3, 2)), ((2, 3), (3, 3)), (2, (6,)), (1, (3, 2, 1))])
def test_many_channels_without_padding(strides, window):
    """Here the library is chosen by a column that is cut off again."""
    draw, strides = np.random.default_rng(0), each(strides, len(window))
    x, w = draw.normal(size=(*(2, 7, 9, 6)[: len(window) + 1], 32)), draw.normal(size=(*window, 32, 4))
    agree(lambda x, w: ops.conv(x, w, strides), lambda x, w: xla_conv(x, w, strides), x, w)


@pytest.mark.slow
@pytest.mark.parametrize("case", PRODUCT, ids=str)
def test_value_and_gradients_of_the_product(case):
    check(*case)


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_depthwise(multiplier, strides, dilation):
    draw = np.random.default_rng(0)
    x, w = images(draw, 2, None), draw.normal(size=(3, 2, 4, multiplier))
    agree(
        lambda x, w: ops.depthwise_conv(x, w, strides, "same", None, dilation),
        lambda x, w: xla_conv(x, w.reshape(3, 2, 1, -1), strides, "same", dilation=dilation),
        x,
        w,
    )


def test_depthwise_of_a_large_kernel_and_many_groups():
    draw = np.random.default_rng(0)
    agree(lambda x, w: ops.conv(x, w, 1, "same"), xla_same, draw.normal(size=(2, 80, 2)), draw.normal(size=(65, 1, 4)))
    x, w = draw.normal(size=(2, 5, 5, 68)), draw.normal(size=(2, 2, 2, 34))
    agree(lambda x, w: ops.conv(x, w, 1, "same"), xla_same, x, w)


def xla_same(x, w):
    return xla_conv(x, w, 1, "same")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("k", "s", "padding"), [(3, 1, "same"), (3, 2, "same"), (2, 3, "valid"), (1, 2, "valid")])
def test_transposed(k, s, padding, data_format):
    """It is the gradient of the convolution whose input has the output's size."""
    draw = np.random.default_rng(0)
    x, w = images(draw, 2, data_format), draw.normal(size=(k, k, 3, 4))

    def theirs(x, w):
        size = [d * s + (max(k - s, 0) if padding == "valid" else 0) for d in (7, 6)]
        shape = (2, 3, *size) if data_format == "channels_first" else (2, *size, 3)
        like = jax.ShapeDtypeStruct(shape, x.dtype)
        return jax.linear_transpose(lambda y: xla_conv(y, w, s, padding, data_format), like)(x)[0]

    agree(lambda x, w: ops.conv_transpose(x, w, s, padding, None, data_format), theirs, x, w)


SECOND = [(1, "valid", 1, 1), (2, "same", 1, 1), (1, "same", 2, 2), (2, "same", 1, 4)]


@pytest.mark.parametrize(("s", "padding", "d", "groups"), SECOND)
def test_every_order_and_mode_of_derivative(s, padding, d, groups):
    draw = np.random.default_rng(0)
    x, w = images(draw, 2, None, (4, 4)), draw.normal(size=(2, 2, 4 // groups, 4))
    x, w = jnp.asarray(x, jnp.float32), jnp.asarray(w, jnp.float32)
    direction = (jnp.ones_like(x), jnp.cos(w))

    def derivatives(conv):
        def loss(x, w):
            return jnp.sum(jnp.tanh(conv(x, w)) ** 2)

        gradient = jax.grad(loss, (0, 1))
        _, linear = jax.linearize(gradient, x, w)
        return {
            "jvp": jax.jvp(conv, (x, w), direction),
            "jvp of the gradient": jax.jvp(gradient, (x, w), direction)[1],
            "linearized gradient": linear(*direction),
            "gradient of the gradient's norm": jax.grad(lambda *a: sum((g**2).sum() for g in gradient(*a)), (0, 1))(
                x, w
            ),
            "Hessian": jax.hessian(lambda w: loss(x, w))(w),
        }

    ours = jax.jit(lambda: derivatives(lambda x, w: ops.conv(x, w, s, padding, None, d)))()
    theirs = jax.jit(lambda: derivatives(lambda x, w: xla_conv(x, w, s, padding, dilation=d)))()
    for name, expected in theirs.items():
        for got, e in zip(jax.tree.leaves(ours[name]), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(got, e, rtol=1e-4, atol=5e-6 * float(jnp.abs(e).max()), err_msg=name)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [(0, None), (None, 1), (2, 0)])
def test_batches_of_inputs_and_of_kernels(axes, groups):
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(2, 5, 6, 4)), draw.normal(size=(3, 2, 4 // groups, 4))
    x, w = (a if axis is None else np.stack([a, 1 - a, 2 * a], axis) for a, axis in zip((x, w), axes, strict=True))

    def batched(conv):
        def values_and_gradients(x, w):
            y, back = jax.vjp(conv, x, w)
            return y, *back(jnp.sin(y))

        return lambda x, w: (jax.vmap(values_and_gradients, axes)(x, w), gradient_of_batch(conv, x, w))

    def gradient_of_batch(conv, x, w):
        return jax.grad(lambda x, w: jnp.sin(jax.vmap(conv, axes)(x, w)).sum(), (0, 1))(x, w)

    x, w = jnp.asarray(x, jnp.float32), jnp.asarray(w, jnp.float32)
    ours = jax.jit(batched(lambda x, w: ops.conv(x, w, 2, "same")))(x, w)
    theirs = jax.jit(batched(lambda x, w: xla_conv(x, w, 2, "same")))(x, w)
    for got, expected in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def in_scan(f):
    """`f` summed over a scan, where a layout that the library does not take stays as it is."""

    def run(*arguments):
        def body(total, _):
            return jax.tree.map(jnp.add, total, f(*[a + 0 * jax.tree.leaves(total)[0].sum() for a in arguments])), None

        like = jax.eval_shape(f, *arguments)
        return lax.scan(body, jax.tree.map(lambda t: jnp.zeros(t.shape, t.dtype), like), length=3)[0]

    return run


def hessian_product(conv):
    def f(x, w):
        gradient = jax.grad(lambda x, w: jnp.sin(conv(x, w)).sum(), (0, 1))
        return jax.jvp(gradient, (x, w), (x, w))[1]

    return f


LOOPS = [(1, "valid", 1, "channels_last"), (2, "same", 1, "channels_first"), (1, "same", 2, "channels_last")]


@pytest.mark.parametrize(("s", "padding", "groups", "data_format"), LOOPS)
def test_second_derivatives_in_a_scan_are_library_calls(s, padding, groups, data_format):
    draw = np.random.default_rng(0)
    x = jnp.asarray(images(draw, 2, data_format, (9, 8)), jnp.float32)
    w = jnp.asarray(draw.normal(size=(3, 3, 4 // groups, 8)), jnp.float32)
    ours = jax.jit(in_scan(hessian_product(lambda x, w: ops.conv(x, w, s, padding, data_format)))).lower(x, w).compile()
    labels = re.findall(r"dim_labels=(\S*?->\w+)", ours.as_text())
    assert labels
    assert set(labels) == {"b01f_01io->b01f"}
    theirs = hessian_product(lambda x, w: xla_conv(x, w, s, padding, data_format))(x, w)
    for got, expected in zip(ours(x, w), theirs, strict=True):
        np.testing.assert_allclose(got, 3 * expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("groups", [1, 4])
def test_half_precision_accumulates_in_float32(dtype, groups):
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 6, 6, 64)), dtype)
    w = jnp.asarray(draw.normal(size=(3, 3, 64 // groups, 8)), dtype)
    ct = jnp.asarray(draw.normal(size=(2, 6, 6, 8)), dtype)
    y, back = jax.vjp(lambda x, w: ops.conv(x, w, 1, "same"), x, w)
    y32, back32 = jax.vjp(xla_same, x.astype("float32"), w.astype("float32"))
    for got, expected in zip((y, *back(ct)), (y32, *back32(ct.astype("float32"))), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got.astype("float32"),
            expected,
            rtol=float(jnp.finfo(dtype).eps),
            atol=1e-5 * float(jnp.abs(expected).max()),
        )


def test_integers_and_mixed_types():
    x, w = jnp.arange(32).reshape(1, 4, 4, 2), jnp.arange(16).reshape(2, 2, 2, 2)
    np.testing.assert_array_equal(ops.conv(x, w), xla_conv(x, w))
    assert ops.conv(x, w).dtype == x.dtype
    assert ops.conv(x.astype("bfloat16"), w.astype("float32")).dtype == "float32"


def test_float64(x64):
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(2, 5, 5, 3)), draw.normal(size=(2, 2, 3, 4))
    got = jax.grad(lambda w: jnp.sin(ops.conv(jnp.asarray(x), w)).sum())(jnp.asarray(w))
    expected = jax.grad(lambda w: jnp.sin(xla_conv(jnp.asarray(x), w)).sum())(jnp.asarray(w))
    assert got.dtype == "float64"
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_empty_batch_and_empty_output():
    w = jnp.ones((3, 3, 2, 4))
    x = jnp.zeros((0, 5, 5, 2))
    y, back = jax.vjp(ops.conv, x, w)
    assert y.shape == (0, 3, 3, 4)
    assert [g.shape for g in back(y)] == [x.shape, w.shape]
    assert not back(y)[1].any()
    assert ops.conv(jnp.zeros((2, 2, 5, 2)), w).shape == (2, 0, 3, 4)
    assert ops.max_pool(jnp.zeros((0, 4, 4, 1)), 2).shape == (0, 2, 2, 1)
    assert ops.max_pool(jnp.zeros((2, 1, 4, 1)), 2).shape == (2, 0, 2, 1)


def test_wrong_channels_are_refused():
    with pytest.raises((ValueError, TypeError)):
        ops.conv(jnp.ones((1, 4, 4, 3)), jnp.ones((2, 2, 2, 4)))


@pytest.mark.parametrize("shape", ["b, 6, 6, 4", "b, h, w, 4"])
def test_symbolic_sizes(shape):
    (b, *rest) = jax.export.symbolic_shape(shape)
    w = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 4, 8)), jnp.float32)

    def f(x):
        return ops.average_pool(ops.max_pool(jnp.sin(ops.conv(x, w, 1, "same")), 2), 2, 1, "same")

    exported = jax.export.export(jax.jit(f))(jax.ShapeDtypeStruct((b, *rest), jnp.float32))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 6, 6, 4)), jnp.float32)
    np.testing.assert_allclose(exported.call(x), f(x), rtol=1e-5, atol=1e-5)


def test_export_to_several_platforms_keeps_the_gradient():
    x, w = jnp.ones((2, 5, 5, 3)), jnp.ones((2, 2, 3, 4))
    gradient = jax.jit(jax.grad(lambda x, w: jnp.sin(ops.conv(x, w, 2, "same")).sum(), (0, 1)))
    exported = jax.export.export(gradient, platforms=("cpu", "cuda", "tpu"))(x, w)
    for got, expected in zip(exported.call(x, w), gradient(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_other_platforms_compute_the_same(groups):
    """What is lowered for them, run here."""
    draw = np.random.default_rng(0)
    plan = sweep.Sweep((7, 6), (3, 2), (3, 3), (2, 2), (1, 1), (0, 0), groups)
    arrays = {
        "x": draw.normal(size=(2, 7, 6, 4)),
        "w": draw.normal(size=(3, 2, 4 // groups, 8)),
        "y": draw.normal(size=(2, 3, 3, 8)),
    }
    for role, (a, b) in {"forward": "xw", "input": "yw", "kernel": "xy"}.items():
        a, b = (jnp.asarray(arrays[k], jnp.float32) for k in (a, b))
        got = sweep.sweep_bind(role, plan, a, b)
        np.testing.assert_allclose(got, sweep._elsewhere(a, b, role=role, sweep=plan), rtol=1e-4, atol=1e-4)


def test_inside_shard_map():
    mesh, parts = Mesh(np.array(jax.devices()[:1]), ("batch",)), PartitionSpec("batch")
    x, w = jnp.ones((2, 5, 5, 3)), jnp.ones((2, 2, 3, 4))

    def gradient(x, w):
        return jax.grad(lambda w: jnp.sin(ops.conv(x, w)).sum())(w)

    sharded = jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=(parts, PartitionSpec()), out_specs=PartitionSpec()))
    np.testing.assert_allclose(sharded(x, w), gradient(x, w), rtol=1e-5)


POOLS = [
    (2, None, "valid", "channels_last"),
    (2, None, "same", "channels_last"),
    (3, 2, "same", "channels_last"),
    (3, 2, "valid", "channels_first"),
    (3, 1, "same", "channels_last"),
    ((1, 3), (2, 1), "valid", "channels_last"),
]


def relu_images(data_format="channels_last"):
    """Half of the entries are equal: zero, as after a ReLU."""
    draw = np.random.default_rng(0)
    return jnp.asarray(np.maximum(np.round(images(draw, 2, data_format, (7, 8), 3), 0), 0), jnp.float32)


def pool_gradient(pool, *options):
    def gradient(x):
        y, back = jax.vjp(lambda x: pool(x, *options), x)
        return y, back(1 + jnp.arange(y.size, dtype=y.dtype).reshape(y.shape))[0]

    return gradient


@pytest.mark.parametrize("options", POOLS, ids=str)
def test_max_pool_sends_a_tie_to_the_first_maximum(options):
    x = relu_images(options[-1])
    y, gradient = jax.jit(pool_gradient(ops.max_pool, *options))(x)
    expected_y, expected = pool_gradient(xla_pool, *options)(x)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(gradient, expected)
    _, scanned = jax.jit(in_scan(pool_gradient(ops.max_pool, *options)))(x)
    np.testing.assert_array_equal(scanned, 3 * expected)


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
@pytest.mark.parametrize("options", POOLS[1:4], ids=str)
def test_pools_and_their_gradients_are_those_of_keras(name, options):
    import keras

    size, strides, _, data_format = options
    size = each(size, 2)
    x = relu_images(data_format)
    y, gradient = pool_gradient(getattr(ops, name), *options)(x)
    theirs = pool_gradient(getattr(keras.ops, name), size, size if strides is None else each(strides, 2), *options[2:])
    expected_y, expected = theirs(x)
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_pools_of_a_window_too_large_to_slice():
    x = jnp.maximum(jnp.asarray(np.random.default_rng(0).normal(size=(2, 60, 3)), jnp.float32), 0.5)
    for options in ((20,), (25, 7, "same")):
        ours, theirs = pool_gradient(ops.max_pool, *options)(x), pool_gradient(xla_pool, *options)(x)
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_allclose(ops.average_pool(x, 20), x.reshape(2, 3, 20, 3).mean(2), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 3])
def test_pools_over_one_and_three_axes(n):
    x = jnp.asarray(images(np.random.default_rng(0), n, None), jnp.float32)
    for options in ((2, None, "valid"), (3, 2, "same")):
        agree(lambda x: ops.max_pool(x, *options), lambda x: xla_pool(x, *options), x)  # noqa: B023


def test_max_pool_of_nan_infinity_and_integers():
    x = jnp.asarray([[1, np.nan, -np.inf, -np.inf, 3, 2]], jnp.float32)[..., None]
    np.testing.assert_array_equal(ops.max_pool(x, 2)[0, :, 0], [np.nan, -np.inf, 3])
    np.testing.assert_array_equal(ops.max_pool(x[:, ::-1], 2)[0, :, 0], [3, -np.inf, np.nan])
    whole = jnp.asarray([[-5, -7, 2, 1]])[..., None]
    np.testing.assert_array_equal(ops.max_pool(whole, 3, 2, "same")[0, :, 0], [2, 2])


def test_derivatives_of_pools_of_second_order_and_in_batches():
    x = jnp.asarray(images(np.random.default_rng(0), 2, None), jnp.float32)

    def product(pool):
        gradient = jax.grad(lambda x: jnp.sum(pool(x, 3, 2) ** 3))
        return lambda x: jax.jvp(gradient, (x,), (jnp.cos(x),))[1]

    ours = jax.jit(jax.vmap(product(ops.max_pool)))(x[:, None])
    # XLA's pooling has no derivative of its gradient on every platform: the cube's is known.
    inner = jax.vmap(jax.grad(lambda x, t: jnp.sum(ops.max_pool(x, 3, 2) * t)))
    y = xla_pool(x, 3, 2)
    _, tangent = jax.jvp(lambda x: xla_pool(x, 3, 2), (x,), (jnp.cos(x),))
    np.testing.assert_allclose(ours, inner(x[:, None], (6 * y * tangent)[:, None]), rtol=1e-4, atol=1e-4)


def test_average_pool_of_half_precision_accumulates_in_float32():
    x = jnp.full((1, 16, 16, 1), 0.1, "bfloat16").at[0, 0, 0, 0].set(100)
    got = ops.average_pool(x, 16)
    expected = np.mean(np.asarray(x, np.float64))
    assert got.dtype == "bfloat16"
    np.testing.assert_allclose(np.asarray(got, np.float64), [[[[expected]]]], rtol=2**-8)
