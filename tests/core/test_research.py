"""Composition as research programs use it: own init and weights, methods, transformations inside, pytrees, captures."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

import kfun
from kfun import Spec, layers, ops, random

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), "float32")
KEY = random.key(7)


class Raised(layers.Dense):
    """A Dense whose init adds 5 to the bias."""

    def init(self, key, *inputs):
        params, state = super().init(key, *inputs)
        return params | {"bias": params["bias"] + 5}, state


class Alone(kfun.Layer):
    """Only init and apply, no declared weights, and a state."""

    def init(self, key, x):
        return {"w": random.normal(key, (x.shape[-1],))}, {"count": jnp.zeros((), "int32")}

    def apply(self, params, state, x, *, key=None, training=False):
        return x * params["w"], {"count": state["count"] + 1}


class Standardized(kfun.Layer):
    """Weights that depend on the data: the first batch comes out with mean 0 and deviation 1."""

    def init(self, key, x):
        if isinstance(x, Spec):
            raise TypeError("needs data")
        return {"mean": jnp.mean(x, 0), "scale": 1 / jnp.std(x, 0)}, {}

    def forward(self, params, x):
        return (x - params["mean"]) * params["scale"]


class Around(kfun.Block):
    inner: kfun.Layer

    def forward(self, f, x):
        return f.inner(x)


def _graph(layer):
    x = kfun.Input((4,))
    return kfun.Graph.of(x, layer(x))


COMPOSITES = {
    "sequential": lambda layer: kfun.Sequential([layer]),
    "graph": _graph,
    "parallel": lambda layer: kfun.Parallel((layer,)),
    "block": Around,
    "nested": lambda layer: kfun.Sequential([kfun.Sequential([Around(layer)])]),
    "remat": kfun.Remat,
    "residual": kfun.Residual,
    "residual of a sequence": lambda layer: kfun.Residual(kfun.Sequential([layer])),
    "stack": lambda layer: kfun.Stack(layer, 3),
    "stack of a sequence": lambda layer: kfun.Stack(kfun.Sequential([layer]), 3),
    "ensemble": lambda layer: kfun.Ensemble(layer, 3),
    "time": lambda layer: kfun.Sequential([layers.Reshape((1, 4)), layers.TimeDistributed(layer)]),
}


@pytest.mark.parametrize("around", COMPOSITES)
@pytest.mark.parametrize("inputs", [X, Spec((None, 4))], ids=["array", "spec"])
def test_an_init_of_ones_own_is_honoured_inside(around, inputs):
    net = COMPOSITES[around](Raised(4))
    params, state = net.init(KEY, inputs)
    (bias,) = kfun.tree.select(params, "bias$").values()
    np.testing.assert_array_equal(bias, np.full(bias.shape, 5.0))
    net.apply(params, state, X)
    net = COMPOSITES[around](Alone())
    params, state = net.init(KEY, inputs)
    (w,) = jax.tree.leaves(params)
    _, new = jax.jit(net.apply)(params, state, X)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert all(np.all(np.asarray(count) >= 1) for count in jax.tree.leaves(new))
    if around in ("stack", "ensemble"):
        assert w.shape == (3, 4)
        assert not np.allclose(w[0], w[1])


@pytest.mark.parametrize("key", [jax.random.key(0), random.key(0)], ids=["typed", "plain"])
def test_init_inside_transformations_that_close_over_the_key(key):
    net = kfun.Sequential([layers.Dense(4), layers.Dense(2)])
    wanted = jax.tree.leaves(net.init(random.key(0), Spec((None, 3))))

    def init(scale):
        return jax.tree.map(lambda p: p * scale, net.init(key, Spec((None, 3)))[0])

    mapped = jax.tree.map(lambda p: p[0], jax.vmap(init)(jnp.ones(1)))
    _, scanned = jax.lax.scan(lambda c, x: (c, init(x)), 0, jnp.ones(1))
    scanned = jax.tree.map(lambda p: p[0], scanned)
    checked = checkify.checkify(lambda key: net.init(key, Spec((None, 3)))[0])(key)[1]
    for found in (jax.jit(init)(1.0), mapped, scanned, checked, jax.jvp(init, (1.0,), (1.0,))[0]):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), jax.tree.leaves(found), wanted)


def test_own_init_draws_the_same_for_specs_and_arrays():
    net = kfun.Sequential([layers.Dense(4), Raised(4), layers.Dense(2)])
    for one, other in zip(*(jax.tree.leaves(net.init(KEY, x)) for x in (X, Spec((None, 4)))), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("around", ["sequential", "graph", "block", "nested", "remat", "stack", "ensemble", "time"])
def test_weights_may_depend_on_the_data_that_reaches_a_layer(around):
    net = kfun.Sequential([layers.Dense(4), COMPOSITES[around](Standardized())])
    params, state = net.init(KEY, X)
    y = np.asarray(net.apply(params, state, X)[0]).reshape(-1, 5, 4)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(1), 1, rtol=1e-4)
    with pytest.raises(TypeError, match="needs data") as raised:
        net.init(KEY, Spec((None, 4)))
    assert "give the init of the whole arrays" in raised.value.__notes__[0]


def test_an_init_that_cannot_be_traced_says_so():
    class Hosted(kfun.Layer):
        def init(self, key, x):
            return {"w": np.zeros(int(np.asarray(key)[0]) % 3 + 1)}, {}

    with pytest.raises(jax.errors.TracerArrayConversionError) as raised:
        kfun.Sequential([Hosted()]).init(KEY, X)
    assert any("init of Hosted()" in note and "traced first" in note for note in raised.value.__notes__)


def test_cells_and_spectral_normalization_honour_it_too():
    class Cell(layers.SimpleRNNCell):
        def init(self, key, *inputs):
            params, state = super().init(key, *inputs)
            return params | {"bias": params["bias"] + 5}, state

    spec = Spec((None, 3, 4))
    for net in (layers.RNN(Cell(2)), layers.RNN(layers.StackedRNNCells((Cell(2), Cell(3))))):
        biases = kfun.tree.select(net.init(KEY, spec)[0], "bias$").values()
        assert len(biases) > 0
        assert all(np.all(b == 5) for b in biases)
    params, _ = layers.SpectralNormalization(Raised(2)).init(KEY, Spec((None, 4)))
    np.testing.assert_array_equal(params["layer"]["bias"], [5, 5])


def test_a_policy_inside_stores_its_types():
    half = layers.Dense(4, policy=kfun.Policy(params="bfloat16"))
    net = kfun.Sequential(
        [half, kfun.Sequential([layers.Dense(2)], policy=kfun.Policy(params="float16")), half.replace()]
    )
    params, _ = net.init(KEY, X)
    found = {path: str(x.dtype) for path, x in kfun.tree.select(params, "kernel").items()}
    assert list(found.values()) == ["bfloat16", "bfloat16", "float16"]


class Autoencoder(kfun.Block):
    parts: dict
    scale: float = 2.0

    def encode(self, f, x):
        return f.parts["encoder"](x) * f.param("gain", (), "ones")

    def decode(self, f, z):
        return f.parts["decoders"][0](z) + f.parts["decoders"][1](z)

    def forward(self, f, x):
        seen = f.state("seen", (), "zeros", "int32")
        seen.value = seen.value + x.shape[0]
        return self.decode(f, self.encode(f, x)) * self.scale


def _autoencoder():
    return Autoencoder({"encoder": layers.Dense(2), "decoders": (layers.Dense(4), layers.Dense(4))})


@pytest.mark.parametrize("compiled", [False, True])
def test_weights_state_methods_and_nested_fields_of_a_block(compiled):
    net = _autoencoder()
    params, state = net.init(KEY, Spec((None, 4)))
    assert list(params) == ["parts_encoder", "gain", "parts_decoders_0", "parts_decoders_1"]
    assert set(net.sublayers) == {"parts_encoder", "parts_decoders_0", "parts_decoders_1"}
    assert state == {"seen": 0}
    apply = jax.jit(net.apply, static_argnames="method") if compiled else net.apply
    params["gain"] = jnp.asarray(3.0)
    z, kept = apply(params, state, X, method="encode")
    np.testing.assert_allclose(z, 3 * X @ params["parts_encoder"]["kernel"], rtol=1e-5)
    assert kept == {"seen": 0}
    y, new = apply(params, state, X)
    np.testing.assert_allclose(y, 2 * apply(params, state, z, method="decode")[0], rtol=1e-5)
    assert new == {"seen": 5}
    np.testing.assert_array_equal(
        net.apply(params, state, X, method=Autoencoder.encode)[0], net.apply(params, state, X, method="encode")[0]
    )
    grads = jax.grad(lambda p: net.apply(p, state, X)[0].sum())(params)
    assert grads["gain"] != 0
    assert kfun.from_config(net.to_config()) == net


def test_methods_of_a_block_inside_and_what_each_call_needs():
    class Both(kfun.Block):
        inner: Autoencoder

        def forward(self, f, x):
            return f.inner.decode(f.inner.encode(x))

    net = Both(_autoencoder())
    params, state = net.init(KEY, X)
    assert set(params["inner"]) == {"parts_encoder", "gain", "parts_decoders_0", "parts_decoders_1"}
    y, _ = net.apply(params, state, X)
    np.testing.assert_allclose(y, net.inner.apply(params["inner"], {"seen": jnp.asarray(0)}, X)[0] / 2, rtol=1e-5)
    with pytest.raises(ValueError, match="no method 'encod'; did you mean 'encode'"):
        net.inner.apply(params["inner"], {}, X, method="encod")
    assert net.inner.output_spec(Spec((None, 4)), method="encode") == Spec((None, 2))


def test_mistakes_with_weights_of_ones_own():
    class Named(kfun.Block):
        inner: layers.Dense
        shape: tuple = (3,)
        kind: str = "own"

        def forward(self, f, x):
            return x + f.param(self.kind, self.shape)

    net = Named(layers.Dense(3))
    params, state = net.init(KEY, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"'own' has shape .3,.; the block asks for .4,."):
        net.replace(shape=(4,)).apply(params, state, jnp.ones((2, 4)))
    with pytest.raises(ValueError, match=r"param 'other' is missing; received .'own'."):
        net.replace(kind="other").apply(params, state, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="'inner' is the name of a layer inside"):
        net.replace(kind="inner").init(KEY, jnp.ones((2, 3)))

    class Shrinking(kfun.Block):
        def forward(self, f, x):
            f.state("last", (3,)).value = x[0, :2]
            return x

    with pytest.raises(ValueError, match="'last' keeps shape and dtype"):
        Shrinking().init(KEY, jnp.ones((2, 3)))


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


class Drawing(kfun.Block):
    """Draws whenever it runs, in training or not."""

    dense: layers.Dense

    def forward(self, f, x):
        return f.dense(x) + random.normal(f.key(), (4,))


class DrawingWithInit(Drawing):
    def init(self, key, *inputs):
        return super().init(key, *inputs)


@pytest.mark.parametrize("block", [Drawing, DrawingWithInit])
@pytest.mark.parametrize("around", [name for name in COMPOSITES if name != "time"])
def test_what_always_draws_is_planned_inside(around, block):
    net = COMPOSITES[around](block(layers.Dense(4)))
    params, state = net.init(KEY, Spec((None, 4)))
    (kernel,) = kfun.tree.select(params, "kernel$").values()
    assert kernel.shape == ((3, 4, 4) if around.startswith(("stack", "ensemble")) else (4, 4))
    y, _ = net.apply(params, state, X, key=KEY)
    assert jax.tree.map(Spec.of, y) == net.output_spec(X)
    with pytest.raises(ValueError, match="asks for a random key"):
        net.apply(params, state, X)


class Message(kfun.Block):
    """A graph network: a dict of arrays in, a call argument."""

    node: layers.Dense
    edge: layers.Dense

    def forward(self, f, graph, scale=None):
        nodes = f.node(graph["nodes"])
        sent = ops.take(nodes, graph["senders"], 0) + f.edge(graph["edges"])
        nodes = nodes + ops.segment_sum(sent, graph["receivers"], nodes.shape[0])
        return {**graph, "nodes": nodes if scale is None else nodes * scale["by"]}


def test_init_takes_pytrees_and_call_arguments():
    graph = {
        "nodes": jnp.ones((3, 4)), "edges": jnp.ones((2, 2)),
        "senders": jnp.array([0, 1]), "receivers": jnp.array([1, 2]),
    }  # fmt: skip
    net, scale = Message(layers.Dense(4), layers.Dense(4)), {"by": jnp.full((3, 1), 2.0)}
    specs = jax.tree.map(Spec.of, (graph, scale))
    for given in ((graph, scale), specs):
        params, state = net.init(KEY, given[0], scale=given[1])
        assert params["edge"]["kernel"].shape == (2, 4)
        y = net.apply(params, state, graph, scale=scale)[0]
        np.testing.assert_allclose(y["nodes"], 2 * net.apply(params, state, graph)[0]["nodes"], rtol=1e-6)
    assert net.output_spec(specs[0], scale=specs[1])["nodes"] == Spec((3, 4))
    stack = kfun.Stack(net, 3)
    params, state = stack.init(KEY, graph)
    y, new = graph, state
    for i in range(3):
        p = jax.tree.map(lambda a, i=i: a[i], params)
        y, _ = net.apply(p, {}, y)
    np.testing.assert_allclose(stack.apply(params, new, graph)[0]["nodes"], y["nodes"], rtol=1e-5)


class Cached(kfun.Block):
    """A layer with an input and an output of its own."""

    dense: layers.Dense

    def forward(self, f, x, bias):
        y = f.dense(x) + bias
        return y, {"sum": ops.sum(y, -1)}


@pytest.mark.parametrize("options", [{}, {"unroll": 2}, {"remat": True}, {"remat": "dots_saveable"}])
def test_stack_with_inputs_and_outputs_per_layer(options):
    stack, biases = kfun.Stack(Cached(layers.Dense(4)), 3, **options), jnp.arange(12.0).reshape(3, 4)
    params, state = stack.init(KEY, Spec((None, 4)), xs=Spec((3, 4)))
    y, sums = jax.jit(lambda p: stack.apply(p, state, X, xs=biases)[0])(params)
    x, wanted = X, []
    for i in range(3):
        x = x @ params["dense"]["kernel"][i] + biases[i]
        wanted.append(x.sum(-1))
    np.testing.assert_allclose(y, x, rtol=1e-4)
    np.testing.assert_allclose(sums["sum"], wanted, rtol=1e-4)
    assert stack.output_spec(X, xs=biases)[1]["sum"] == Spec((3, 5))
    jaxpr = str(jax.make_jaxpr(jax.grad(lambda p: stack.apply(p, state, X, xs=biases)[0][0].sum()))(params))
    assert ("remat" in jaxpr or "checkpoint" in jaxpr) == ("remat" in options)
    if "unroll" in options:
        assert "unroll=2" in jaxpr
    with pytest.raises(ValueError, match="keep its input's shape and dtype"):
        kfun.Stack(layers.Dense(5), 2).init(KEY, X)
    with pytest.raises(ValueError, match="the layer must give what it takes"):
        kfun.Stack(kfun.Parallel((layers.Dense(4),) * 3), 2).init(KEY, X)


def test_checkpoint_policies_by_name_and_by_value():
    for policy in (jax.checkpoint_policies.dots_saveable, "dots_saveable"):
        net = kfun.Remat(layers.Dense(4, "tanh"), checkpoint_policy=policy)
        params, state = net.init(KEY, X)
        text = str(jax.make_jaxpr(jax.grad(lambda p, s, n=net: n.apply(p, s, X)[0].sum()))(params, state))
        assert "DotsSaveable" in text or "dots_saveable" in text
    assert kfun.from_config(net.to_config()) == net
    with pytest.raises(TypeError, match=r"must be one of jax.checkpoint_policies"):
        kfun.Remat(layers.Dense(4), checkpoint_policy=3)


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


def test_layers_are_named_in_the_compiled_program():
    net = kfun.Sequential([layers.Dense(4), kfun.Sequential([layers.Dense(2)], name="head")])
    params, state = net.init(KEY, X)
    text = jax.jit(net.apply).lower(params, state, X).as_text(debug_info=True)
    assert "head/dense" in text


def test_names_of_sublayers_are_public():
    net = kfun.Sequential(
        [layers.Dense(4), layers.Dense(2), kfun.Residual(kfun.Sequential([layers.Dense(2)], name="r"))]
    )
    assert list(net.sublayers) == ["dense", "dense_1", "residual"]
    assert list(net.sublayers["residual"].sublayers) == ["dense"]
    assert layers.Dense(2).sublayers == {}
    assert list(_graph(layers.Dense(4)).sublayers) == ["dense"]
    assert list(kfun.Parallel((layers.Dense(1), layers.Dense(1))).sublayers) == ["dense", "dense_1"]
    assert list(layers.TimeDistributed(layers.Dense(1)).sublayers) == ["layer"]
    assert list(layers.Bidirectional(layers.LSTM(1)).sublayers) == ["forward_layer", "backward_layer"]


@pytest.mark.parametrize("make", [
    lambda: (kfun.Sequential([layers.Dense(2)]), "dense"), lambda: (_graph(layers.Dense(2)), "dense"),
    lambda: (kfun.Parallel((layers.Dense(2),)), "dense"), lambda: (Around(layers.Dense(2)), "inner"),
])  # fmt: skip
def test_surplus_params_are_refused(make):
    net, name = make()
    params, state = net.init(KEY, X)
    with pytest.raises(kfun.errors.ParameterError, match="'extra' is no weight of the layer"):
        net.apply(params | {"extra": {}}, state, X)
    more = {name: params[name] | {"scale": jnp.ones(2)}}
    with pytest.raises(kfun.errors.ParameterError, match=f"'{name}/scale' is no weight of the layer"):
        jax.jit(net.apply)(more, state, X)
    flat = {"dense": params[name]} if name == "inner" else params
    if name == "dense":
        bare = kfun.Sequential([layers.Dense(2, use_bias=False)])
        with pytest.raises(kfun.errors.ParameterError, match="'dense/bias' is no weight of the layer"):
            bare.apply(flat, state, X)


def test_two_layers_of_one_name_in_a_block():
    class Clash(kfun.Block):
        a: tuple
        a_0: layers.Dense

        def forward(self, f, x):
            return f.a[0](f.a_0(x))

    with pytest.raises(ValueError, match="two layers would be named 'a_0'"):
        Clash((layers.Dense(4),), layers.Dense(4)).init(KEY, X)


def test_definitions_stay_definitions():
    net = dataclasses.replace(_autoencoder(), scale=1.0)
    assert hash(net) == hash(_autoencoder().replace(scale=1.0))
    assert jax.jit(lambda p, s, x, n: n.apply(p, s, x)[0], static_argnums=3)(*net.init(KEY, X), X, net).shape == (5, 4)
