"""Layers that draw their weights by an `init` of their own, inside whatever wraps them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

import kfun
from kfun import Spec, layers, random

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


def graph_of(layer):
    x = kfun.Input((4,))
    return kfun.Graph.of(x, layer(x))


COMPOSITES = {
    "sequential": lambda layer: kfun.Sequential([layer]),
    "graph": graph_of,
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
