"""Batch normalization of a batch that is mapped by hand has the moments of the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Policy, Spec, layers
from kfun.errors import UnsupportedOp

_X = (np.random.default_rng(0).normal(size=(8, 3, 5)) * [1, 2, 3, 4, 5] + 100).astype("float32")
_MASK = np.random.default_rng(1).integers(0, 2, (8, 3)).astype("bool")
_MASK[:2] = False  # one part of four has nothing that counts
OPTIONS = {
    "plain": {},
    "renorm": {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 3.0}},
    "half precision": {"policy": Policy(compute="bfloat16")},
}


def made(options, x=_X):
    layer = layers.BatchNormalization(momentum=0.5, **options)
    params, state = layer.init(kfun.random.key(0), Spec.of(x))
    params = jax.tree.map(lambda p: p + np.linspace(0, 1, 5, dtype="float32"), params)
    return layer, params, state


def loss(layer, params, state, x, mask=None):
    y, new = layer.apply(params, state, x, training=True, mask=mask)
    return jnp.mean(jnp.asarray(y, "float32") ** 3), (y, new)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("name", OPTIONS)
def test_parts_that_are_mapped_give_what_the_whole_gives(name, masked):
    layer, params, state = made(OPTIONS[name])
    mapped = layer.replace(axis_name="batch")
    mask = _MASK if masked else None
    gradient, (y, new) = jax.grad(loss, argnums=1, has_aux=True)(layer, params, state, _X, mask)

    def one(params, x, mask):
        gradient, aux = jax.grad(loss, argnums=1, has_aux=True)(mapped, params, state, x, mask)
        return jax.lax.pmean(gradient, "batch"), aux

    parts = jax.tree.map(lambda v: v.reshape(4, 2, *v.shape[1:]), (_X, mask))
    ours = jax.jit(jax.vmap(one, in_axes=(None, 0, 0), axis_name="batch"))(params, *parts)
    step = 2.0**-7 if y.dtype == "bfloat16" else 1e-4  # the outputs' own rounding; the moments are float32 in both
    received, expected = (np.asarray(v, "float32").reshape(y.shape) for v in (ours[1][0], y))
    np.testing.assert_allclose(received, expected, rtol=step, atol=step)
    for i in range(4):  # the same on all, so that a replicated state stays one
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-5), ours[1][1], new)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-3, atol=1e-3), ours[0], gradient)
    if not masked:
        alone, _ = jax.vmap(lambda x: layer.apply(params, state, x, training=True))(parts[0])
        assert not np.allclose(np.asarray(alone, "float32").reshape(y.shape), np.asarray(y, "float32"), atol=1e-2)


def test_gradients_of_the_inputs_cross_the_parts():
    layer, params, state = made({})
    mapped = layer.replace(axis_name="batch")

    def total(x):
        per_part = jax.vmap(lambda x: loss(mapped, params, state, x)[0], axis_name="batch")(x.reshape(4, 2, 3, 5))
        return jnp.mean(per_part)

    expected = jax.grad(lambda x: loss(layer, params, state, x)[0])(_X)
    np.testing.assert_allclose(jax.grad(total)(_X), expected, rtol=1e-3, atol=1e-5)


def test_several_axes():
    layer, params, state = made({})
    mapped = layer.replace(axis_name=["data", "more"])
    assert mapped == layer.replace(axis_name=("data", "more"))
    y, new = layer.apply(params, state, _X, training=True)
    run = jax.vmap(lambda x: mapped.apply(params, state, x, training=True), axis_name="more")
    ours = jax.vmap(run, axis_name="data")(_X.reshape(2, 2, 2, 3, 5))
    np.testing.assert_allclose(ours[0].reshape(y.shape), y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours[1]["moving_variance"][1, 1], new["moving_variance"], rtol=1e-5)


def test_inference_needs_no_axis_and_training_names_the_one_that_is_missing():
    layer, params, state = made({"axis_name": "data"})
    layer.apply(params, state, _X)
    with pytest.raises(ValueError, match="axis_name='data' is not the name of an axis that is being mapped"):
        layer.apply(params, state, _X, training=True)
    for wrong in (3, (), ("a", 1)):
        with pytest.raises(TypeError, match="`axis_name` must be the name of a mapped axis, several, or None"):
            layer.replace(axis_name=wrong)
    with kfun.backend("numpy"), pytest.raises(UnsupportedOp, match="pmean"):
        layer.apply(*kfun.to_numpy((params, state)), _X, training=True)


_SHARDED = """
import jax, numpy as np
from functools import partial
from jax.sharding import Mesh, PartitionSpec as P
from tests.layers.test_batch_axis import _X, loss, made

assert jax.device_count() == 4
layer, params, state = made({})
gradient, (y, new) = jax.grad(loss, argnums=1, has_aux=True)(layer, params, state, _X)
mapped = layer.replace(axis_name="data")
mesh = Mesh(np.array(jax.devices()), ("data",))

@jax.jit
@partial(jax.shard_map, mesh=mesh, in_specs=(P(), P(), P("data")), out_specs=(P("data"), P()))
def sharded(params, state, x):
    return mapped.apply(params, state, x, training=True)

ours = sharded(params, state, _X)
np.testing.assert_allclose(ours[0], y, rtol=1e-4, atol=1e-4)
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), ours[1], new)

def total(params):
    step = partial(jax.shard_map, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
    return step(lambda p, x: jax.lax.pmean(loss(mapped, p, state, x)[0], "data"))(params, _X)

jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), jax.grad(total)(params), gradient)
print("agreed")
"""


def test_sharded_over_devices():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    env = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", _SHARDED]
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "agreed", done.stderr[-3000:]
