"""The guide's programs against the same in Equinox and Flax NNX, from the same weights on the same data."""

from __future__ import annotations

import functools
import re
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import kfun
from tests.research import equinox_programs, guide, nnx_programs
from tests.research.peers import Equinox, Nnx, linears

PROGRAMS = ("ensemble", "maml", "dpsgd", "transformer", "vae", "recurrent", "gan", "a2c")
KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
X, Z = (jnp.asarray(RNG.normal(size=(12, n)), "float32") for n in (2, 4))
Y = jnp.asarray(RNG.integers(0, 2, 12), "int32")

run = functools.cache(guide.run)
peers = pytest.mark.parametrize("peer", [Equinox, Nnx])


def _pairs(params, *paths):
    """Kernel and bias of the layers at these paths, or of all in order."""
    flat = kfun.tree.flatten(params)
    paths = paths or [path.removesuffix("/kernel") for path in flat if path.endswith("kernel")]
    return [(flat[f"{path}/kernel"], flat[f"{path}/bias"]) for path in paths]


def _agree(found, wanted, rtol=1e-5, atol=1e-5):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol, atol)


def _losses(ours, batch, steps=3):
    """The losses of steps of a program by `make_train_step`."""
    train_state = jax.tree.map(jnp.copy, ours.train_state)  # a step donates what it is given
    for _ in range(steps):
        train_state, logs = ours.step(ours.step.reset(train_state), batch)
        yield logs["loss"]


@peers
@pytest.mark.slow
def test_ensemble(peer):
    ours, peer = run("ensemble"), peer("ensemble")
    members = ours.members
    peer.load(_pairs(members.params))
    values = []
    for _ in range(3):
        members, logs = ours.train(members, (X, Y))
        values.append(peer.step(X, Y))
        _agree(logs["loss"], np.mean(values, 0))
    _agree(_pairs(members.params), peer.pairs(), atol=1e-4)


@peers
def test_maml(peer):
    ours, peer = run("maml"), peer("maml")
    peer.load(_pairs(ours.learner.net.params))
    x = jnp.asarray(RNG.normal(size=(2, 3, 5, 1)), "float32")
    tasks = [(x, jnp.sin(x)) for x in x]
    learner = ours.learner
    for _ in range(3):
        learner, value = ours.step(learner, *tasks)
        _agree(value, peer.step(*tasks))


@peers
def test_dpsgd(peer):
    ours, peer = run("dpsgd"), peer("dpsgd")
    learner = ours.learner
    peer.load(_pairs(learner.net.params))
    for _ in range(2):  # noise is drawn for other trees, so that it differs
        learner = ours.step(learner, KEY, 0.0, X, Y)
        peer.step(KEY, 0.0, X, Y)
    params = learner.net.params
    _agree(_pairs(params), peer.pairs())
    noised = ours.step(learner, KEY, 3.0, X, Y).net.params
    before = peer.pairs()
    peer.step(KEY, 3.0, X, Y)
    for old, new in ((_pairs(params), _pairs(noised)), (before, peer.pairs())):
        moved = np.concatenate([(b - a).ravel() for a, b in zip(*map(jax.tree.leaves, (old, new)), strict=True)])
        assert 0.8 < np.std(moved) * len(X) / (0.5 * 3.0) < 1.2


@peers
@pytest.mark.slow
def test_vae(peer):
    ours, peer = run("vae"), peer("vae")
    params = ours.train_state.params
    still = params["encoder"]["dense_1"]["bias"].at[2:].set(-20)  # no noise, which each draws in its own way
    params = kfun.tree.replace(params, {"encoder/dense_1/bias": still})
    ours.train_state = ours.train_state._replace(params=params)
    peer.load(_pairs(params, "encoder/dense", "encoder/dense_1", "decoder/dense", "decoder/dense_1"))
    x = jnp.asarray(RNG.normal(size=(6, 8)), "float32")
    for value in _losses(ours, (x, x)):
        _agree(value, peer.step(KEY, x))
    decoded, _ = ours.net.apply(params, {}, X, method="decode")
    peer.load(_pairs(params, "encoder/dense", "encoder/dense_1", "decoder/dense", "decoder/dense_1"))
    decode = peer.parts[0].decode
    _agree(decoded, jax.vmap(decode)(X) if isinstance(peer, Equinox) else decode(X))


@peers
@pytest.mark.slow
def test_recurrent(peer):
    ours, peer = run("recurrent"), peer("recurrent")
    peer.load(_pairs(ours.train_state.params, "cell/gate", "cell/candidate", "head"))
    xs = jnp.asarray(RNG.normal(size=(12, 6, 1)), "float32")
    for value in _losses(ours, (xs, Y)):
        _agree(value, peer.step(xs, Y))


@peers
@pytest.mark.slow
def test_gan(peer):
    ours, peer = run("gan"), peer("gan")
    nets = ours.g, ours.c
    for part in (0, 1):
        peer.load(_pairs(nets[part].net.params), part)
    for _ in range(3):
        nets = ours.step(*nets, Z, X)
        peer.step(Z, X)
    for part in (0, 1):
        _agree(_pairs(nets[part].net.params), peer.pairs(part), atol=1e-4)


@peers
@pytest.mark.slow
def test_transformer(peer):
    ours, peer = run("transformer"), peer("transformer")
    params = ours.train_state.params
    if isinstance(peer, Equinox):
        peer.parts[0] = _equinox_transformer(peer.parts[0], params)
    else:
        _nnx_transformer(peer.parts[0], params)
    tokens = jnp.asarray(RNG.integers(0, 16, (3, 24)), "int32")
    for value in _losses(ours, (tokens[:, :-1], tokens[:, 1:])):
        _agree(value, peer.step(tokens))


def _equinox_transformer(net, params):
    blocks, attention = params["blocks"], params["blocks"]["attention"]

    def weights(net):
        parts = net.blocks.expand, net.blocks.contract
        projections = [getattr(net.blocks.attention, f"{name}_proj").weight for name in names]
        return [net.embed.weight, net.positions, *(w for p in parts for w in (p.weight, p.bias)), *projections]

    names = ("query", "key", "value", "output")
    values = [params["embed"]["embeddings"], params["positions"]]
    for name in ("expand", "contract"):
        values += [jnp.swapaxes(blocks[name]["kernel"], 1, 2), blocks[name]["bias"]]
    for name in ("query", "key", "value", "attention_output"):
        values.append(jnp.swapaxes(attention[name]["kernel"].reshape(3, 32, 32), 1, 2))  # heads and their sizes in one
    return eqx.tree_at(weights, net, values)


def _nnx_transformer(net, params):
    blocks, attention = params["blocks"], params["blocks"]["attention"]
    net.embed.embedding[...], net.positions[...] = params["embed"]["embeddings"], params["positions"]
    for name in ("query", "key", "value"):
        getattr(net.blocks.attention, name).kernel[...] = attention[name]["kernel"]
    net.blocks.attention.out.kernel[...] = attention["attention_output"]["kernel"]
    for name in ("expand", "contract"):
        layer = getattr(net.blocks, name)
        layer.kernel[...], layer.bias[...] = blocks[name]["kernel"], blocks[name]["bias"]


@pytest.mark.slow
def test_a2c():
    cart = run("cartpole")
    ours = run("a2c", reset=cart.reset, advance=cart.advance)
    params, _ = ours.net.init(KEY, kfun.Spec((None, 4)))
    carts = jax.vmap(cart.reset)(jax.random.split(KEY, ours.CARTS))
    (params_after, _, carts_after), falls = jax.lax.scan(
        ours.update, (params, ours.adam.init(params), carts), jax.random.split(KEY, 3)
    )
    pairs = _pairs(params, "dense", "parallel/dense", "parallel/dense_1")
    for found, carts_found, falls_found in (_equinox_a2c(cart, pairs, carts), _nnx_a2c(cart, pairs, carts)):
        _agree(_pairs(params_after, "dense", "parallel/dense", "parallel/dense_1"), found, atol=1e-4)
        _agree(carts_after, carts_found, atol=1e-4)
        _agree(falls, falls_found)


def _equinox_a2c(cart, pairs, carts):
    made, adam, update, _ = equinox_programs.a2c(cart.reset, cart.advance)
    held = object.__new__(Equinox)
    held.parts = [made(KEY)]
    held.load(pairs)
    carry = held.parts[0], adam.init(held.parts[0]), carts
    (held.parts[0], _, carts), falls = jax.lax.scan(update, carry, jax.random.split(KEY, 3))
    return held.pairs(), carts, falls


def _nnx_a2c(cart, pairs, carts):
    made, update, _ = nnx_programs.a2c(cart.reset, cart.advance)
    net = made(nnx.Rngs(0))
    held = object.__new__(Nnx)
    held.layers = [linears(net)]
    held.load(pairs)
    optimizer = nnx.Optimizer(net, optax.adam(3e-3), wrt=nnx.Param)
    falls = []
    for key in jax.random.split(KEY, 3):
        (_, _, carts), fallen = update((net, optimizer, carts), key)
        falls.append(fallen)
    return held.pairs(), carts, jnp.stack(falls)


def _formatted(*texts):
    """The texts as ruff formats them alone, all in one run."""
    mark = "\n\n\n# next program\n\n\n"
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "-"]
    out = subprocess.run(command, input=mark.join(texts), capture_output=True, text=True, check=True).stdout
    return out.split(mark.strip())


def test_the_table_of_lines_is_what_the_sources_have():
    table = {
        name: tuple(map(int, counts))
        for name, *counts in re.findall(
            r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \|$", (guide.DOCS / "research.md").read_text(), re.M
        )
    }
    texts = []
    for name in PROGRAMS:
        texts += [guide.source(name), *(guide.body(getattr(m, name)) for m in (equinox_programs, nnx_programs))]
    counts = list(map(guide.lines_of_code, _formatted(*texts)))
    assert table == {name: tuple(counts[3 * i : 3 * i + 3]) for i, name in enumerate(PROGRAMS)}


@pytest.mark.parametrize("page", guide.PAGES, ids=lambda p: p.name)
def test_blocks_of_the_guide_are_formatted(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M)
    for block, formatted in zip(blocks, _formatted(*blocks), strict=True):
        assert formatted.strip() == block.strip()
    assert all(len(line) <= 120 for line in page.read_text().split("\n") if not line.startswith("|"))


def test_lines_of_code_are_neither_blank_nor_comments_nor_docstrings():
    text = 'def f():\n    """One.\n\n    Two."""\n\n    # why\n    return (  # counted\n        1\n    )\n'
    assert guide.lines_of_code(text) == 4
    body = guide.body(guide.lines_of_code)
    assert guide.lines_of_code(body) == len([line for line in body.split("\n") if line.strip()])
    assert "return" not in body
