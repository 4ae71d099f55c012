"""The guide's programs against the same written out by hand in plain JAX and NumPy, and on several devices."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from tests.research import guide

RNG = np.random.default_rng(0)


def _normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), "float32")


def _equal(found, wanted, tolerance=1e-5):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, tolerance, tolerance), found, wanted)


def _network(params, x):
    one, two = params["dense"], params["dense_1"]
    return jnp.tanh(x @ one["kernel"] + one["bias"]) @ two["kernel"] + two["bias"]


def test_maml_differentiates_through_its_inner_steps():
    ours = guide.run("maml")
    support, query = ((x, jnp.sin(x)) for x in _normal(2, 3, 5, 1))

    def error(params, x, y):
        return jnp.sum((_network(params, x) - y) ** 2) / y.size

    def by_hand(params):
        total = 0.0
        for task in range(3):
            flat, unravel = ravel_pytree(params)
            for _ in range(2):
                slope = jax.grad(lambda v: error(unravel(v), support[0][task], support[1][task]))(flat)  # noqa: B023
                flat = flat - 0.1 * slope
            total += error(unravel(flat), query[0][task], query[1][task])
        return total / 3

    value, grads = jax.jit(jax.value_and_grad(by_hand))(ours.learner.net.params)
    found, slopes = jax.jit(jax.value_and_grad(ours.meta_loss))(ours.learner.net, support, query)
    _equal(found, value)
    _equal(slopes.params, grads)


def test_dpsgd_clips_each_example_and_adds_noise():
    ours = guide.run("dpsgd")
    net = jax.tree.map(lambda p: 4 * p, ours.learner.net)
    params, learner = net.params, dataclasses.replace(ours.learner, net=net)
    x, key, noise = 2 * _normal(6, 2), jax.random.key(1), 0.7
    sure = _network(params, x).argmax(-1)
    y = jnp.where(jnp.arange(6) < 3, sure, 1 - sure)  # right and wrong answers: small and large gradients

    def loss(params, x, y):
        return -jax.nn.log_softmax(_network(params, x))[y]

    slope = jax.jit(jax.grad(loss))
    grads = [slope(params, *example) for example in zip(x, y, strict=True)]
    norms = [np.sqrt(sum((np.asarray(g) ** 2).sum() for g in jax.tree.leaves(one))) for one in grads]
    assert min(norms) < 1 < max(norms), "some are clipped, and some are not"
    scales = [min(1, 1 / norm) for norm in norms]
    clipped = [jax.tree.map(lambda g, s=s: np.asarray(g) * s, one) for s, one in zip(scales, grads, strict=True)]
    leaves, form = jax.tree.flatten(jax.tree.map(lambda *g: sum(g), *clipped))
    keys = jax.random.split(key, len(leaves))
    drawn = [g + noise * jax.random.normal(k, g.shape) for k, g in zip(keys, leaves, strict=True)]
    wanted = jax.tree.map(lambda p, g: p - 0.5 * g / 6, params, jax.tree.unflatten(form, drawn))
    _equal(ours.step(learner, key, noise, x, y).net.params, wanted)


def test_hessian_vector_products_are_those_of_the_hessian():
    ours, net = guide.run("curvature"), guide.run("maml")
    x, y = _normal(7, 1), _normal(7, 1)
    flat, unravel = ravel_pytree(net.learner.net)
    vector = _normal(flat.size) / 10
    matrix = jax.jit(jax.hessian(lambda v: jnp.mean((_network(unravel(v).params, x) - y) ** 2)))(flat)
    hvp = jax.jit(functools.partial(ours.hvp, lambda p: net.loss(p, x, y)))
    _equal(ravel_pytree(hvp(net.learner.net, unravel(vector)))[0], matrix @ vector)


def test_spectra_of_a_known_hessian():
    ours = guide.run("curvature")
    basis, _ = np.linalg.qr(RNG.normal(size=(12, 12)))
    values = np.array([-2.0, -0.5, *np.linspace(0.0, 1.0, 9), 5.0])
    matrix = jnp.asarray(basis * values @ basis.T, "float32")
    params = {"a": _normal(3, 2), "b": _normal(6)}

    def loss(params):
        flat, _ = ravel_pytree(params)
        return flat @ matrix @ flat / 2

    top, vector = jax.jit(functools.partial(ours.power_iteration, loss, steps=40))(params, jax.random.key(0))
    np.testing.assert_allclose(top, 5, rtol=1e-5)
    np.testing.assert_allclose(np.abs(ravel_pytree(vector)[0] @ basis[:, -1]), 1, rtol=1e-4)
    ritz = jax.jit(functools.partial(ours.lanczos, loss, steps=10))(params, jax.random.key(0))
    np.testing.assert_allclose([ritz[0], ritz[-1]], [-2, 5], rtol=1e-4)


def _normalized(x):
    x = x - x.mean(-1, keepdims=True)
    return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def _logits(params, tokens):
    x = params["embed"]["embeddings"][tokens] + params["positions"][: tokens.shape[1]]
    future = jnp.triu(jnp.full((tokens.shape[1],) * 2, -jnp.inf), 1)
    for i in range(3):
        block = jax.tree.map(lambda w, i=i: w[i], params["blocks"])
        norm, norm2, attention = block["norm"], block["norm2"], block["attention"]
        h = _normalized(x) * norm["gamma"] + norm["beta"]
        q, k, v = (jnp.einsum("btc,cnh->bnth", h, attention[n]["kernel"]) for n in ("query", "key", "value"))
        weights = jax.nn.softmax(jnp.einsum("bnth,bnsh->bnts", q, k) / np.sqrt(8) + future)
        heads = jnp.einsum("bnts,bnsh->btnh", weights, v)
        x = x + jnp.einsum("btnh,nhc->btc", heads, attention["attention_output"]["kernel"])
        h = _normalized(x) * norm2["gamma"] + norm2["beta"]
        h = jnp.maximum(h @ block["expand"]["kernel"] + block["expand"]["bias"], 0)
        x = x + h @ block["contract"]["kernel"] + block["contract"]["bias"]
    return (_normalized(x) * params["norm"]["gamma"] + params["norm"]["beta"]) @ params["embed"]["embeddings"].T


def test_transformer_loss_and_gradients():
    ours = guide.run("transformer")
    train_state = ours.train_state
    params = jax.tree.map(lambda p: p + 0.1 * _normal(*p.shape), train_state.params)  # gains of 1 hide mistakes
    tokens = jnp.asarray(RNG.integers(0, 16, (3, 10)), "int32")
    batch = tokens[:, :-1], tokens[:, 1:]

    def by_hand(params):
        scores = jax.nn.log_softmax(_logits(params, batch[0]))
        return -jnp.mean(jnp.take_along_axis(scores, batch[1][..., None], -1))

    value, grads = jax.jit(jax.value_and_grad(by_hand))(params)
    loss = jax.jit(jax.value_and_grad(lambda p: ours.step.forward(p, train_state, batch, None)[0]))
    _equal(loss(params), (value, grads))


def test_sharded_training_is_that_of_one_device(tmp_path):
    page = (guide.DOCS / "research_systems.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)[:3]
    check = """
assert mesh.size == 4 and kernel.addressable_shards[0].data.shape == (16, 16)
sharded_moments, single_moments = (jax.tree.leaves(state) for state in (sharded, single))
for one, other in zip(sharded_moments, single_moments, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
assert "all-gather" in sharded_step.lower(sharded, x, y).compile().as_text()
"""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    root = str(guide.DOCS.parent)
    environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
    command = [sys.executable, "-c", "\n".join([*blocks, check])]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
