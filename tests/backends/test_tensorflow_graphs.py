"""The TensorFlow adapter in graphs with unknown sizes, and under XLA."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

import kfun
from kfun import ops
from tests.backends.tensorflow_tools import close, kernel, normals, quick, scalar, tensor

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
    "conv": (lambda x: ops.conv(x, kernel(3, 2, 4, 5), 2, "same"), [(2, 6, 7, 4)]),
    "conv in groups": (lambda x: ops.conv(x, kernel(3, 2, 2, 4), 2, "same"), [(2, 6, 7, 4)]),
    "conv, 1-d, causal": (
        lambda x: ops.conv(ops.pad(x, ((0, 0), (4, 0), (0, 0))), kernel(3, 4, 5), dilation_rate=2),
        [(2, 6, 4)],
    ),
    "conv, dilated strides": (lambda x: ops.conv(x, kernel(3, 2, 4, 5), 2, "same", None, 2), [(2, 6, 7, 4)]),
    "depthwise_conv": (lambda x: ops.depthwise_conv(x, kernel(3, 2, 4, 2), (1, 2), "same"), [(2, 6, 7, 4)]),
    "conv_transpose": (lambda x: ops.conv_transpose(x, kernel(3, 2, 5, 4), 2, "same"), [(2, 6, 7, 4)]),
    "max_pool": (lambda x: ops.max_pool(x, 3, 2, "same"), [(2, 6, 7, 4)]),
    "average_pool, 3-d": (lambda x: ops.average_pool(x, 2, 1, "same"), [(2, 3, 4, 5, 2)]),
    "resize": (lambda x: ops.resize(x, (9, 8)), [(2, 6, 7, 4)]),
    "resize by cubics": (lambda x: ops.resize(x, (9, 8), "bicubic"), [(2, 6, 7, 4)]),
    "lstm": (
        lambda x: ops.lstm(x, *[np.zeros((2, 3), "f")] * 2, kernel(4, 12), kernel(3, 12), reverse=True),
        [(2, 6, 4)],
    ),
    "gru": (lambda x, h: ops.gru(x, h, kernel(4, 9), kernel(3, 9), kernel(2, 9)), [(2, 6, 4), (2, 3)]),
}
# The rest is slow: a compilation each.
QUICK = {
    *("reshape", "zeros", "concatenate", "split at", "getitem", "take_along_axis", "pad", "slice_update", "softmax"),
    *("layer_normalization", "attention", "conv", "conv in groups", "conv_transpose", "lstm"),
}
COMPILED = ("take_along_axis", "pad with a number", "slice_update", "conv", "attention")


def _spec(array, known):
    """Batch, time and spatial axes unknown; the last `known` ones, channels and heads, are not."""
    free = array.ndim - known
    return tf.TensorSpec([*[None] * free, *array.shape[free:]], array.dtype)


def _check(name, values, **options):
    """A call and its gradient are those of JAX under `tf.function` with the given options."""
    call = UNKNOWN[name][0]

    @tf.function(autograph=False, **options)
    def run(*args):
        return call(*args), kfun.grad(scalar(call))(*args)

    wanted = call(*map(jnp.asarray, values)), jax.grad(scalar(call))(*map(jnp.asarray, values))
    with kfun.backend("tensorflow"):
        found = run(*map(tensor, values))
    close(found, wanted, 1e-4)


@pytest.mark.parametrize("name", quick(UNKNOWN, QUICK))
def test_in_graphs_with_unknown_sizes(name):
    values = normals(UNKNOWN[name][1])
    _check(name, values, input_signature=[_spec(v, 2 if name == "attention" else 1) for v in values])


@pytest.mark.parametrize("name", quick(UNKNOWN, COMPILED))
def test_compiled_by_xla(name):
    _check(name, normals(UNKNOWN[name][1]), jit_compile=True)
