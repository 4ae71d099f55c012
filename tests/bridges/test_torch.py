"""Torch modules as layers: mode, keys, drawn weights, names of what is missing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, training

torch = pytest.importorskip("torch", reason="needs the extra torch")

X = jnp.asarray(np.random.default_rng(0).normal(size=(16, 4)), "float32")
SPEC = Spec((None, 4))
KEY, OTHER = kfun.random.key(1), kfun.random.key(2)


def net():
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))


def test_dropout_goes_by_training_and_key():
    layer = kfun.from_torch(torch.nn.Dropout(0.5))
    ones = jnp.ones((64, 8))
    np.testing.assert_array_equal(layer.apply({}, {}, ones, key=KEY)[0], ones)
    run = jax.jit(lambda k: layer.apply({}, {}, ones, key=k, training=True)[0])
    first, again, other, typed = map(run, (KEY, KEY, OTHER, jax.random.key(1)))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, typed)
    assert np.any(first != other)
    assert set(np.unique(first)) == {0.0, 2.0}
    native = layer.apply({}, {}, torch.ones(64, 8), key=kfun.convert(KEY, "torch"), training=True)[0]
    np.testing.assert_array_equal(native, first)


def test_a_function_draws_weights():
    layer = kfun.from_torch(net)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    params, state = layer.init(KEY, SPEC)
    assert torch.equal(before, torch.get_rng_state())
    assert sorted(params) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert sorted(state) == ["1.num_batches_tracked", "1.running_mean", "1.running_var"]
    jax.tree.map(np.testing.assert_array_equal, layer.init(KEY, SPEC), (params, state))
    other, _ = layer.init(OTHER, SPEC)
    assert np.any(params["0.weight"] != other["0.weight"])
    several = jax.jit(jax.vmap(lambda k: layer.init(k, SPEC)[0]))(jnp.stack([KEY, OTHER]))
    np.testing.assert_array_equal(several["0.weight"], jnp.stack([params["0.weight"], other["0.weight"]]))
    outputs, new = layer.apply(params, state, X, key=KEY, training=True)
    assert outputs.shape == (16, 3)
    assert int(new["1.num_batches_tracked"]) == 1
    np.testing.assert_allclose(
        new["1.running_mean"], 0.1 * (X @ params["0.weight"].T + params["0.bias"]).mean(0), rtol=1e-4, atol=1e-6
    )


def test_copies_differ_or_are_refused():
    drawn = kfun.Ensemble(kfun.from_torch(lambda: torch.nn.Linear(4, 4)), 3)
    params, state = drawn.init(KEY, SPEC)
    (weight,) = (x for x in jax.tree.leaves(params) if x.shape == (3, 4, 4))
    assert np.all(weight[0] != weight[1])
    assert np.all(weight[1] != weight[2])
    np.testing.assert_allclose(drawn.apply(params, state, X)[0].shape, (3, 16, 4))
    fixed = kfun.from_torch(torch.nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"from_torch\(lambda: Linear"):
        kfun.Ensemble(fixed, 3).init(KEY, SPEC)
    with pytest.raises(ValueError, match="fixed weights"):
        jax.vmap(lambda k: fixed.init(k, SPEC))(jnp.stack([KEY, OTHER]))


def test_missing_params_are_named_and_not_taken_from_the_module():
    layer = kfun.from_torch(net())
    params, state = layer.init(KEY, SPEC)
    short = {name: x for name, x in params.items() if name != "0.weight"}
    for convert in (lambda tree: tree, kfun.to_numpy, lambda tree: kfun.convert(tree, "torch")):
        with pytest.raises(ValueError, match=r"'0\.weight' is missing"):
            layer.apply(*convert((short, state, X)))
        with pytest.raises(ValueError, match=r"'1\.running_mean' is missing"):
            layer.apply(*convert((params, {}, X)))


@pytest.mark.parametrize("made", [net, net()])
def test_it_trains_and_leaves_the_module(made):
    layer = kfun.from_torch(made)
    module = layer.module
    before = {name: x.clone() for name, x in module.state_dict().items()}
    step = training.make_train_step(kfun.Sequential([layer, kfun.layers.Dense(1)]), "mse", "adam")
    state = step.init(KEY, SPEC)
    start = jax.tree.map(np.asarray, state.params)
    for _ in range(2):
        state, _ = step(state, (X, X[:, :1]))
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(start), strict=True))
    assert all(torch.equal(x, before[name]) for name, x in module.state_dict().items())


def test_what_is_no_module_is_refused():
    for wrong in (3, lambda: 3):
        with pytest.raises(TypeError, match="expected a torch module"):
            kfun.from_torch(wrong).init(KEY, SPEC)
    with pytest.raises(ValueError, match="lazy"):
        kfun.from_torch(lambda: torch.nn.LazyLinear(2)).init(KEY, SPEC)
