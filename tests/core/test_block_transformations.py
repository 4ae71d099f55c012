"""Transformations of code with layers in it: state and keys go through, raw ones are refused, outputs are captured."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, layers, ops, random

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32")
KEY = random.key(7)


class Step(kfun.Block):
    """A recurrent step with everything that can leak: dropout, batch statistics, a counter."""

    dense: layers.Dense
    norm: layers.BatchNormalization
    drop: layers.Dropout

    def forward(self, f, h, x):
        return f.drop(f.norm(f.dense(ops.concatenate([h, x], -1))))


def _step():
    return Step(layers.Dense(3, "tanh"), layers.BatchNormalization(momentum=0.5), layers.Dropout(0.5))


class Scanned(kfun.Block):
    step: Step

    def forward(self, f, xs):
        return f.scan(lambda f, h, x: (f.step(h, x),) * 2, ops.zeros((2, 3)), xs)[1]


class Looped(kfun.Block):
    step: Step

    def forward(self, f, xs):
        h, ys = ops.zeros((2, 3)), []
        for x in ops.unstack(xs):
            h = f.step(h, x)
            ys.append(h)
        return ops.stack(ys)


XS = jnp.asarray(np.random.default_rng(1).normal(size=(4, 2, 3)), "float32")


@pytest.mark.parametrize("compiled", [False, True])
def test_scan_carries_state_and_splits_keys(compiled):
    net = Scanned(_step())
    params, state = net.init(KEY, Spec((None, 2, 3)))
    wrap = jax.jit if compiled else lambda f: f
    run, loop = (
        wrap(functools.partial(n.apply, training=True))
        for n in (net, Looped(_step().replace(drop=layers.Dropout(0.0))))
    )
    calm = Scanned(_step().replace(drop=layers.Dropout(0.0)))
    y, new = wrap(functools.partial(calm.apply, training=True))(params, state, XS, key=KEY)
    z, last = loop(params, state, XS, key=KEY)
    np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), new, last)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(new))
    masks = np.asarray(run(params, state, XS, key=KEY)[0]) == 0
    assert any(not np.array_equal(masks[0], m) for m in masks[1:]), "one mask in all steps"
    grads = jax.grad(lambda p: net.apply(p, state, XS, key=KEY, training=True)[0].sum())(params)
    assert np.any(grads["step"]["dense"]["kernel"])


class Mapped(kfun.Block):
    step: Step
    state: str | None = "mean"

    def forward(self, f, xs):
        return f.vmap(lambda f, x: f.step(ops.zeros((2, 3)), x), state=self.state)(xs)


def test_vmap_splits_keys_and_says_what_becomes_of_state():
    net = Mapped(_step())
    params, state = net.init(KEY, XS)
    y, new = net.apply(params, state, XS, key=KEY, training=True)
    assert len({np.asarray(row == 0).tobytes() for row in y}) > 1, "one mask for all"
    each = [net.step.apply(params["step"], state["step"], jnp.zeros((2, 3)), x, key=KEY, training=True)[1] for x in XS]
    wanted = np.mean([s["norm"]["moving_mean"] for s in each], 0)
    np.testing.assert_allclose(new["step"]["norm"]["moving_mean"], wanted, rtol=1e-5)
    strict = net.replace(state=None)
    with pytest.raises(ValueError, match=r"\['step'\] change their state inside f.vmap"):
        strict.apply(params, state, XS, key=KEY, training=True)
    np.testing.assert_array_equal(strict.apply(params, state, XS)[0], net.apply(params, state, XS)[0])


class Chosen(kfun.Block):
    first: kfun.Layer
    second: kfun.Layer

    def forward(self, f, flag, x):
        return f.cond(flag, lambda f, x: f.first(x), lambda f, x: f.second(x), x)


@pytest.mark.parametrize("compiled", [False, True])
def test_cond_carries_the_state_of_the_branch_taken(compiled):
    net = Chosen(kfun.Sequential([layers.Dense(4), layers.BatchNormalization()]), layers.Dense(4))
    params, state = net.init(KEY, Spec((), "bool"), X)
    run = functools.partial(net.apply, training=True)
    run = jax.jit(run) if compiled else run
    taken, moved = run(params, state, jnp.asarray(True), X)
    other, kept = run(params, state, jnp.asarray(False), X)
    np.testing.assert_allclose(other, X @ params["second"]["kernel"], rtol=1e-5)
    np.testing.assert_allclose(np.mean(taken, 0), 0, atol=1e-5)
    path = ("first", "batch_normalization", "moving_mean")
    assert np.any(functools.reduce(dict.get, path, moved))
    assert not np.any(functools.reduce(dict.get, path, kept))


def test_remat_inside_a_block():
    class Again(kfun.Block):
        step: Step
        keep: str | None = None

        def forward(self, f, x):
            return f.remat(lambda f, x: f.step(ops.zeros((2, 3)), x), self.keep)(x)

    net = Again(_step())
    params, state = net.init(KEY, XS[0])

    def loss(p, net):
        y, new = net.apply(p, state, XS[0], key=KEY, training=True)
        return (y**2).sum(), new

    for policy in (None, "dots_saveable"):
        grads, new = jax.grad(loss, has_aux=True)(params, net.replace(keep=policy))
        assert np.any(grads["step"]["dense"]["kernel"])
        assert np.any(new["step"]["norm"]["moving_mean"])
        text = str(jax.make_jaxpr(jax.grad(loss, has_aux=True), static_argnums=1)(params, net.replace(keep=policy)))
        assert "remat" in text or "checkpoint" in text
    with pytest.raises(ValueError, match="unknown policy 'dots_savable'; did you mean 'dots_saveable'"):
        net.replace(keep="dots_savable").apply(params, state, XS[0])


@pytest.mark.parametrize("transform", ["scan", "vmap", "checkpoint"])
def test_raw_transformations_are_refused_where_they_would_be_wrong(transform):
    raw = {
        "scan": lambda g: lambda xs: jax.lax.scan(lambda c, x: (c, g(x)), 0, xs)[1],
        "vmap": jax.vmap,
        "checkpoint": lambda g: lambda xs: jax.checkpoint(g)(xs[0]),
    }[transform]

    class Raw(kfun.Block):
        inner: kfun.Layer

        def forward(self, f, xs):
            return raw(f.inner)(xs)

    for inner, message in (
        (layers.Dropout(0.5), r"'inner'.*Dropout\(0.5\).*draws random numbers"),
        (layers.BatchNormalization(), "'inner'.*BatchNormalization.*changes its state"),
        (kfun.Sequential([layers.Dense(3), layers.Dropout(0.5)]), "draws random numbers.*f.scan"),
    ):
        net = Raw(inner)
        params, state = net.init(KEY, XS)
        net.apply(params, state, XS, key=KEY)  # nothing is drawn and no state changes: right as it is
        for wrap in (lambda g: g, jax.jit):
            run = wrap(functools.partial(net.apply, training=True))
            with pytest.raises(ValueError, match=message):
                run(params, state, XS, key=KEY)
    plain = Raw(layers.Dense(3))
    params, state = plain.init(KEY, XS)
    wanted = raw(lambda x: x @ params["inner"]["kernel"])(XS)
    np.testing.assert_allclose(plain.apply(params, state, XS, key=KEY, training=True)[0], wanted, rtol=1e-5)


def test_f_key_without_a_key_is_an_error_at_once():
    class Noisy(kfun.Block):
        def forward(self, f, x):
            return x + random.normal(f.key(), x.shape)

    net = Noisy()
    assert net.init(KEY, X) == ({}, {})
    with pytest.raises(ValueError, match=r"Noisy\(\) asks for a random key by f.key\(\), and was applied without one"):
        net.apply({}, {}, X)


def test_captures_by_path():
    block = kfun.Sequential([layers.Dense(4, "tanh"), layers.Dropout(0.1)], name="block")
    net = kfun.Sequential(
        [
            layers.Dense(4),
            kfun.Stack(block, 3),
            kfun.Ensemble(layers.Dense(2), 2),
            kfun.Remat(block, name="again"),
        ]
    )
    params, state = net.init(KEY, X)
    run = jax.jit(functools.partial(kfun.capture, net))
    y, _, seen = run(params, state, X)
    np.testing.assert_allclose(y, net.apply(params, state, X)[0], rtol=1e-5)
    assert {k: v.shape for k, v in seen.items()} == {
        "dense": (5, 4), "stack/dense": (3, 5, 4), "stack/dropout": (3, 5, 4), "stack": (5, 4), "ensemble": (2, 5, 2),
        "again/dense": (2, 5, 4), "again/dropout": (2, 5, 4), "again": (2, 5, 4),
    }  # fmt: skip
    hidden = X @ params["dense"]["kernel"]
    for i in range(3):
        hidden = jnp.tanh(hidden @ params["stack"]["dense"]["kernel"][i])
        np.testing.assert_allclose(seen["stack/dense"][i], hidden, rtol=1e-5)
    only = kfun.capture(net, params, state, X, pattern="^stack/")[2]
    assert set(only) == {"stack/dense", "stack/dropout"}
    scanned = Scanned(_step())
    params, state = scanned.init(KEY, XS)
    seen = kfun.capture(scanned, params, state, XS, pattern="dense$")[2]
    assert {k: v.shape for k, v in seen.items()} == {"step/dense": (4, 2, 3)}
    grads = jax.grad(lambda x: kfun.capture(scanned, params, state, x)[2]["step/norm"].sum())(XS)
    assert np.any(grads)


def test_a_layer_called_twice_is_captured_twice():
    class Twice(kfun.Block):
        dense: layers.Dense

        def forward(self, f, x):
            return f.dense(f.dense(x))

    net = Twice(layers.Dense(4))
    params, state = net.init(KEY, X)
    y, _, seen = kfun.capture(net, params, state, X)
    assert list(seen) == ["dense", "dense#1"]
    np.testing.assert_array_equal(seen["dense#1"], y)
    with pytest.raises(ValueError, match=r"Dense\(3\) is called twice, and its weight 'kernel' would have the shape"):
        Twice(layers.Dense(3)).init(KEY, X)
