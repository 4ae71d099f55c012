"""Models of other libraries as layers: against real Keras where it has the layer, else against the library."""

from __future__ import annotations

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import equinox as eqx
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import compat
import kfun

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


def fitted(api, layer, epochs=3, **model):
    """A model of one layer, and its losses."""
    made = api.Sequential([api.Input((3,)), layer], **model)
    made.compile(api.optimizers.SGD(0.1), "mse")
    return made, made.fit(X, Y, epochs=epochs, verbose=0, shuffle=False).history["loss"]


# ---- JAX ----


def linear(params, inputs):
    return inputs @ params["w"] + params["b"][0]


def linear_init(rng, inputs):
    return {"w": jax.random.normal(rng, (inputs.shape[-1], 2)), "b": [jnp.zeros(2)]}


def counted(params, state, rng, inputs, training):
    outputs = inputs @ params["w"]
    if training:
        outputs = outputs * jax.random.bernoulli(rng, 0.5, outputs.shape)
        state = {"steps": state["steps"] + 1}
    return outputs, state


def counted_init(rng, inputs, training):
    return {"w": jax.random.normal(rng, (inputs.shape[-1], 2))}, {"steps": jnp.zeros(())}


def mode_only(params, inputs, training):
    return inputs @ params["w"] * (2.0 if training else 1.0)


def reordered(inputs, training, params, rng):
    kept = 1.0 if rng is None else jax.random.bernoulli(rng, 0.5, inputs.shape)
    return (inputs * kept) @ params["w"] * (1 + training)


def stateful(params, state, inputs):
    return inputs @ params["w"] + state["steps"], state


FORMS = {
    "stateless": (linear, linear_init, {}),
    "state, rng, training": (counted, counted_init, {"seed": 3}),
    "training": (mode_only, linear_init, {}),
    "any order": (reordered, linear_init, {"seed": 1}),
    "state": (stateful, counted_init, {}),
    "given params": (linear, None, {"params": {"w": jnp.ones((3, 2)), "b": [jnp.zeros(2)]}}),
    "given both": (stateful, None, {"params": {"w": jnp.ones((3, 2))}, "state": {"steps": jnp.ones(())}}),
}


@pytest.mark.parametrize("form", FORMS)
def test_jax_layer_is_keras(form):
    """Every calling form: the same variables, first values, random keys, losses."""
    call, init, arguments = FORMS[form]
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        api.utils.set_random_seed(0)
        layer = api.layers.JaxLayer(call, init, **arguments, name="wrapped")
        _, losses = fitted(api, layer)
        found.append((losses, layer))
    (ours, mine), (theirs, real) = found
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert [(v.path, v.shape, v.trainable) for v in mine.variables] == [
        (v.path, tuple(v.shape), v.trainable) for v in real.variables
    ]
    for a, b in zip(mine.variables, real.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=1e-6)


def test_jax_layer_of_nested_inputs_and_outputs():
    def call(params, inputs):
        return {"sum": inputs["a"] * params + inputs["b"], "both": [inputs["a"], inputs["b"]]}

    layer = compat.layers.JaxLayer(call, lambda rng, inputs: jnp.ones(()))
    a, b = compat.Input((3,)), compat.Input((3,))
    outputs = layer({"a": a, "b": b})
    assert outputs["both"][1].shape == (None, 3)
    predicted = compat.Model({"a": a, "b": b}, outputs).predict({"a": X, "b": X}, verbose=0)
    np.testing.assert_allclose(predicted["sum"], 2 * X, rtol=1e-6)


def test_jax_layer_files_go_both_ways(tmp_path):
    for api in (compat, keras):
        for function in (linear, linear_init):
            api.saving.register_keras_serializable("ecosystem")(function)
    ours, _ = fitted(compat, compat.layers.JaxLayer(linear, linear_init))
    ours.save(tmp_path / "ours.keras")
    theirs = keras.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), ours.predict(X, verbose=0), rtol=1e-6)
    theirs.save(tmp_path / "theirs.keras")
    again = compat.models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), ours.predict(X, verbose=0), rtol=1e-6)
    keys = set(theirs.layers[-1].get_config())
    assert set(ours.layers[-1].get_config()) == keys


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compat.layers.JaxLayer(linear), "call_fn takes params: give init_fn"),
        (lambda: compat.layers.JaxLayer(lambda x: x, linear_init), "call_fn takes 'x'"),
        (lambda: compat.layers.JaxLayer(lambda params: 1, linear_init), "call_fn must take inputs"),
        (lambda: compat.layers.JaxLayer(linear, lambda rng: 1), "init_fn must take inputs; it takes"),
        (lambda: compat.layers.JaxLayer(3), "expected call_fn to be a function"),
        (lambda: compat.layers.JaxLayer(counted, linear_init)(X), r"init_fn must give \(params, state\)"),
        (lambda: compat.layers.JaxLayer(lambda params, state, inputs: inputs, counted_init)(X), "must give .outputs"),
        (lambda: compat.layers.JaxLayer(lambda params, state, inputs: (inputs, 1), counted_init)(X), "has the form"),
    ],
)
def test_jax_layer_names_mistakes(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


# ---- Flax ----


def _linen():
    linen = pytest.importorskip("flax.linen")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, inputs, training=False):
            x = linen.BatchNorm(use_running_average=not training)(linen.Dense(4)(inputs))
            return linen.Dense(2)(linen.Dropout(0.5, deterministic=not training)(x))

        def twice(self, inputs):
            return 2 * self(inputs)

    return Net()


@pytest.mark.parametrize("given", [False, True])
def test_flax_layer_is_keras(given):
    module = _linen()
    variables = module.init(jax.random.key(0), jnp.ones((1, 3))) if given else None
    found = []
    for api in (compat, keras):
        api.utils.clear_session()
        api.utils.set_random_seed(0)
        layer = api.layers.FlaxLayer(module, variables=variables, name="wrapped")
        model, losses = fitted(api, layer)
        found.append((losses, layer, model.predict(X, verbose=0)))
    (ours, mine, predicted), (theirs, real, expected) = found
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)
    assert [(v.path, v.shape, v.trainable) for v in mine.variables] == [
        (v.path, tuple(v.shape), v.trainable) for v in real.variables
    ]


def test_flax_layer_methods_and_config():
    module = _linen()
    plain = compat.layers.FlaxLayer(module)
    expected = 2 * plain(X)
    for method in ("twice", type(module).twice, lambda module, inputs: module.twice(inputs)):
        layer = compat.layers.FlaxLayer(module, method=method)
        layer.build(X.shape)
        layer.set_weights(plain.get_weights())
        np.testing.assert_allclose(layer(X), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="has no get_config"):
        plain.get_config()
    with pytest.raises(TypeError, match="KfunLayer"):
        compat.layers.FlaxLayer(3)


def test_flax_layer_of_a_registered_module_is_saved(tmp_path):
    linen = pytest.importorskip("flax.linen")

    @compat.saving.register_keras_serializable("ecosystem")
    class Line(linen.Module):
        units: int

        @linen.compact
        def __call__(self, inputs):
            return linen.Dense(self.units)(inputs)

        def get_config(self):
            return {"units": self.units}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    model, _ = fitted(compat, compat.layers.FlaxLayer(Line(2)))
    model.save(tmp_path / "m.keras")
    again = compat.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)


def test_flax_linen_is_a_kfun_layer():
    module = _linen()
    layer = kfun.from_flax(module)
    params, state = layer.init(kfun.random.key(0), kfun.Spec((None, 3)))
    y, new = layer.apply(params, state, X, key=kfun.random.key(1), training=True)
    expected, changed = module.apply(
        {"params": params, **state},
        X,
        training=True,
        rngs={"dropout": kfun.random.fold_in(kfun.random.key(1), 0)},
        mutable=["batch_stats"],
    )
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    np.testing.assert_allclose(
        new["batch_stats"]["BatchNorm_0"]["mean"], changed["batch_stats"]["BatchNorm_0"]["mean"], rtol=1e-6
    )
    assert layer.output_spec(kfun.Spec((None, 3))) == kfun.Spec((None, 2))
    net = kfun.Sequential([kfun.layers.Dense(3), layer])
    params, state = net.init(kfun.random.key(0), kfun.Spec((None, 5)))
    drawn = params["from_linen"]
    assert jax.tree.structure(drawn) == jax.tree.structure(layer.init(kfun.random.key(0), kfun.Spec((None, 3)))[0])
    assert net.apply(params, state, jnp.ones((2, 5)))[0].shape == (2, 2)


def test_flax_nnx_is_a_kfun_layer_and_a_layer():
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.norm = nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
            self.drop, self.last = nnx.Dropout(0.5, rngs=rngs), nnx.List([nnx.Linear(4, 2, rngs=rngs)])

        def __call__(self, x):
            return self.last[0](self.drop(self.norm(self.first(x))))

    module = Net(nnx.Rngs(0))
    layer = kfun.from_flax(module)
    params, state = layer.init(kfun.random.key(0), kfun.Spec((None, 3)))
    y, new = jax.jit(lambda p, s: layer.apply(p, s, X, training=True))(params, state)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert int(new["drop"]["rngs"]["count"]) == 1
    module.train()
    np.testing.assert_allclose(y, module(X), rtol=1e-5, atol=1e-6)
    module.eval()
    np.testing.assert_allclose(layer.apply(params, new, X)[0], module(X), rtol=1e-5, atol=1e-6)
    _, losses = fitted(compat, compat.layers.KfunLayer(layer))
    assert losses[-1] < losses[0]
    with pytest.raises(TypeError, match="flax linen or nnx module"):
        kfun.from_flax(3)


# ---- equinox, kfun ----


def test_equinox_layer_trains():
    class Net(eqx.Module):
        linear: eqx.nn.Linear
        drop: eqx.nn.Dropout

        def __call__(self, x, key=None):
            return self.drop(self.linear(x), key=key, inference=key is None)

    module = Net(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.nn.Dropout(0.2))
    layer = compat.layers.EquinoxLayer(module, takes_key=True, seed=1)
    np.testing.assert_allclose(layer(X), jax.vmap(module)(X), rtol=1e-6)
    model, losses = fitted(compat, compat.layers.EquinoxLayer(module, takes_key=True, seed=1))
    assert losses[-1] < losses[0]
    assert model.output_shape == (None, 2)
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        layer.get_config()


@pytest.mark.parametrize("name", ["weights", "name", "trainable", "call", "dtype", "seed", "definition", "scale"])
def test_names_of_a_module_take_no_place_of_the_layer_s(name, tmp_path):
    """An array, and a part with one, whose field is called like something that a layer has."""

    def times(self, x):
        return (x * getattr(self, name))[:2]

    scale = type("Scale", (eqx.Module,), {"__annotations__": {name: jax.Array}, "__call__": times})
    part = type(
        "Part",
        (eqx.Module,),
        {"__annotations__": {name: eqx.Module}, "__call__": lambda self, x: getattr(self, name)(x)},
    )
    for module, path in ((scale(jnp.full(3, 2.0)), name), (part(scale(jnp.full(3, 2.0))), f"{name}/{name}")):
        layer = compat.layers.EquinoxLayer(module)
        model, losses = fitted(compat, layer)
        assert losses[-1] < losses[0]
        assert [v.path.split("/", 2)[2] for v in model.trainable_variables] == [path]
        model.save_weights(tmp_path / "m.weights.h5")
        again, _ = fitted(compat, compat.layers.EquinoxLayer(module))
        again.load_weights(tmp_path / "m.weights.h5")
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_kfun_layer_is_saved(tmp_path):
    net = kfun.Sequential([kfun.layers.Dense(4), kfun.layers.BatchNormalization(), kfun.layers.Dense(2)])
    model, losses = fitted(compat, compat.layers.KfunLayer(net))
    assert losses[-1] < losses[0]
    assert "batch_normalization/moving_mean" in " ".join(v.path for v in model.non_trainable_variables)
    model.save(tmp_path / "m.keras")
    again = compat.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    two = compat.layers.KfunLayer(kfun.layers.Add())
    np.testing.assert_allclose(two([X, X]), 2 * X)
    with pytest.raises(TypeError, match="expected a kfun layer"):
        compat.layers.KfunLayer(3)


@pytest.mark.parametrize(("module", "extra"), [("flax", "flax"), ("torch", "torch"), ("tensorflow", "tensorflow")])
def test_a_missing_package_is_named(monkeypatch, module, extra):
    from kfun.errors import MissingExtraError

    bridge = {"flax": kfun.from_flax, "torch": kfun.from_torch, "tensorflow": kfun.from_saved_model}[module]
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=rf"pip install 'kfun\[{extra}\]'"):
        bridge("x")
