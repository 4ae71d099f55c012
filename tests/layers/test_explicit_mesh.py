"""Layers on rows that are split over four devices by a mesh with explicit axes give what they give on one device."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import kfun
from kfun import layers, ops

DEVICES = 4
RNG = np.random.default_rng(0)


def _drawn(*shape):
    return RNG.normal(size=shape).astype("float32")


ROWS, SEQUENCES, IMAGES = _drawn(8, 6), _drawn(8, 5, 6), _drawn(8, 6, 6, 2)
CASES = [
    (layers.Dropout(0.5), ROWS),
    (layers.AlphaDropout(0.3), ROWS),
    (layers.GaussianNoise(0.1), ROWS),
    (layers.SpatialDropout1D(0.5), SEQUENCES),
    (layers.SpatialDropout2D(0.5), IMAGES),
    (layers.Dense(3, "relu"), ROWS),
    (layers.Conv2D(3, 3), IMAGES),
    (layers.BatchNormalization(), IMAGES),
    (layers.LayerNormalization(), ROWS),
    (layers.MaxPooling2D(2), IMAGES),
    (layers.LSTM(3, dropout=0.2, recurrent_dropout=0.2), SEQUENCES),
    (layers.Bidirectional(layers.GRU(3, dropout=0.3)), SEQUENCES),
    (layers.Embedding(10, 3), RNG.integers(0, 10, (8, 5)).astype("int32")),
    (layers.MultiHeadAttention(2, 3, dropout=0.1), (SEQUENCES, SEQUENCES)),
    (kfun.Sequential([layers.Dense(4), layers.Dropout(0.5), layers.Dense(2)]), ROWS),
]


def check(layer, inputs):
    """Compares outputs and gradients, compiled, with those of the whole rows on one device."""
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    params, state = layer.init(kfun.random.key(0), *map(kfun.Spec.of, inputs))

    def loss(params, state, *inputs):
        y, new = layer.apply(params, state, *inputs, key=jax.random.key(1), training=True)
        return ops.sum(ops.square(y)), (y, new)

    run = jax.value_and_grad(loss, has_aux=True)
    expected = jax.jit(run)(params, state, *inputs)
    mesh = jax.make_mesh((DEVICES,), ("rows",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        split = [jax.device_put(x, NamedSharding(mesh, PartitionSpec("rows"))) for x in inputs]
        # JAX's convolution has a gradient where its kernel was made on the mesh, too.
        params, state = jax.device_put((params, state), NamedSharding(mesh, PartitionSpec()))
        found = jax.jit(run)(params, state, *split)
        assert found[0][1][0].sharding.spec[0] == "rows", "the outputs are split as the inputs"
        layer.apply(params, state, *split, key=jax.random.key(1), training=True)  # eagerly too
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)


def test_on_four_devices():
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    command = [sys.executable, "-m", "tests.layers.test_explicit_mesh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"XLA_FLAGS": flags})
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [f"{type(layer).__name__}:ok" for layer, _ in CASES]


@pytest.mark.parametrize("make", [jax.random.key, kfun.random.key], ids=["typed", "raw"])
@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_recurrent_dropout_takes_keys_of_both_kinds(layer, make):
    net = layer(3, dropout=0.5, recurrent_dropout=0.5)
    params, state = net.init(kfun.random.key(0), kfun.Spec.of(SEQUENCES))
    one, again, other = (net.apply(params, state, SEQUENCES, key=make(n), training=True)[0] for n in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take_of_rows_on_one_device_is_as_ever(axis):
    x, places = jnp.arange(12.0).reshape(3, 4), jnp.asarray([[0, -1], [2, 1]])
    np.testing.assert_array_equal(ops.take(x, places, axis), np.take(np.asarray(x), places, axis))


if __name__ == "__main__":
    for layer, inputs in CASES:
        check(layer, inputs)
        print(f"{type(layer).__name__}:ok")
