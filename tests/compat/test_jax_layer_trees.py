"""`params` and `state` of JaxLayer and FlaxLayer: the trees of their variables, as Keras has them."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import compat

X = np.arange(6, dtype="float32").reshape(2, 3)
APIS = pytest.mark.parametrize("api", [compat, keras], ids=["compat", "keras"])


def _values(tree):
    return jax.tree.map(np.asarray, tree)


def _scaled(params, state, inputs, training):
    new = {"seen": state["seen"] + 1 if training else state["seen"], "name": state["name"]}
    return inputs * params["scale"] + params["more"][0], new


@APIS
def test_jax_layer_shows_its_trees(api):
    layer = api.layers.JaxLayer(lambda params, inputs: inputs @ params["w"], lambda inputs: {"w": jnp.ones((3, 2))})
    assert (layer.params, layer.state) == (None, None)
    layer(X)
    assert list(layer.params) == ["w"]
    assert layer.params["w"] is layer.trainable_variables[0]
    np.testing.assert_array_equal(np.asarray(layer.params["w"]), np.ones((3, 2)))


@APIS
def test_leaves_that_are_no_numbers_stay(api):
    params, state = {"scale": 2.0, "more": [np.float32(1)]}, {"seen": 0, "name": None}
    layer = api.layers.JaxLayer(_scaled, params=params, state=state)
    np.testing.assert_allclose(np.asarray(layer(X, training=True)), 2 * X + 1)
    assert layer.state["name"] is None
    assert int(_values(layer.state["seen"])) == 1
    kept = api.layers.JaxLayer(lambda params, state, inputs: (inputs, state), state={"note": "text", "n": 3})
    assert kept.state["note"] == "text"
    assert len(kept.variables) == 1


def test_a_layer_with_a_text_in_its_state_can_be_called():
    layer = compat.layers.JaxLayer(_scaled, params={"scale": 2.0, "more": [0.0]}, state={"seen": 0, "name": "text"})
    np.testing.assert_allclose(layer(X, training=True), 2 * X)
    assert layer.state["name"] == "text"
    assert int(layer.state["seen"].value) == 1


def _linen(registered=False):
    linen = pytest.importorskip("flax.linen")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, inputs, training=False):
            return self.forward(inputs, training)

        @linen.compact
        def forward(self, inputs, training=False):
            x = linen.BatchNorm(use_running_average=not training)(linen.Dense(4)(inputs))
            return linen.Dense(2)(x)

        def get_config(self):
            return {}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    return Net


def test_flax_layers_are_made_from_each_others_variables():
    module = _linen()()
    found = []
    for api in (compat, keras):
        api.utils.set_random_seed(1)
        first = api.layers.FlaxLayer(module)
        expected = np.asarray(first(X))
        assert sorted(first.params) == ["params"]
        assert sorted(first.state) == ["batch_stats"]
        again = api.layers.FlaxLayer(module, variables=_values(first.params | first.state))
        np.testing.assert_allclose(np.asarray(again(X)), expected, rtol=1e-6)
        found.append((jax.tree.map(np.shape, _values(first.params)), _values(first.params | first.state)))
    assert found[0][0] == found[1][0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found[0][1], found[1][1])


@pytest.mark.parametrize("method", ["forward", "bound"])
def test_a_bound_method_is_written_by_its_name(method, tmp_path):
    net = compat.saving.register_keras_serializable("trees")(_linen())
    module = net()
    layer = compat.layers.FlaxLayer(module, method=module.forward if method == "bound" else method)
    model = compat.Sequential([compat.Input((3,)), layer])
    assert layer.get_config()["method"] == "forward"
    model.save(tmp_path / "m.keras")
    again = compat.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again(X), model(X), rtol=1e-6)
