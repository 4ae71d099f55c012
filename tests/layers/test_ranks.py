"""Whatever rank `apply` takes `init` and `output_spec` take, and no other."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Spec, layers
from kfun.testing_layers import _arrays
from tests.layers.catalogue import ROWS

RANKS = range(6)
# The weights of many heads fit any number of axes before the features, while the inputs here lose theirs alike.
OPEN = {("MultiHeadAttention", n) for n in RANKS}


def _of_rank(x, ndim):
    """An array like `x` with axes cut off in front, or added there."""
    shape = x.shape[x.ndim - ndim :] if ndim <= x.ndim else (2,) * (ndim - x.ndim) + x.shape
    return np.resize(x, shape)


def _takes(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


@pytest.mark.parametrize("name", ROWS)
def test_init_and_apply_take_the_same_ranks(name):
    case = ROWS[name].cases[0]
    layer, (inputs, call_args) = case.of.kfun(), case.drawn()
    params, state = layer.init(kfun.random.key(0), *map(Spec.of, inputs))
    first, call_args = np.ndim(inputs[0]), _arrays(call_args, "jax")
    for ndim in RANKS:
        if ndim == first or (name, ndim) in OPEN:
            continue
        given = [_of_rank(x, ndim) if np.ndim(x) == first else x for x in inputs]
        apply = _takes(layer.apply, params, state, *map(jnp.asarray, given), key=kfun.random.key(1), **call_args)
        init = _takes(layer.init, kfun.random.key(0), *map(Spec.of, given))
        assert (init == "taken") == (apply == "taken"), f"rank {ndim}: init: {init}; apply: {apply}"
        if not call_args:
            spec = _takes(layer.output_spec, *map(Spec.of, given))
            assert (spec == "taken") == (apply == "taken"), f"rank {ndim}: output_spec: {spec}; apply: {apply}"


def test_a_single_example():
    dense = layers.Dense(2)
    params, state = dense.init(kfun.random.key(0), Spec((3,)))
    batched, _ = dense.init(kfun.random.key(0), Spec((None, 3)))
    np.testing.assert_array_equal(params["kernel"], batched["kernel"])
    x = jnp.ones((4, 3))
    np.testing.assert_allclose(kfun.vmap(lambda x: dense.apply(params, state, x)[0])(x), dense.apply(params, {}, x)[0])
    assert dense.output_spec(Spec((3,))) == Spec((2,))
    net = kfun.Sequential([layers.Dense(4, "relu"), layers.LayerNormalization(), layers.Dropout(0.1), layers.Dense(2)])
    params, state = net.init(kfun.random.key(0), Spec((3,)))
    assert net.apply(params, state, jnp.ones(3))[0].shape == (2,)


@pytest.mark.parametrize(
    "layer", [layers.Dense(2, name="head"), layers.Masking(name="head"), layers.Flatten(name="head")]
)
def test_a_scalar_is_refused_by_name(layer):
    for refuse in (layer.init, layer.apply):
        args = (
            (kfun.random.key(0), Spec(())) if refuse == layer.init else ({"kernel": jnp.ones((3, 2))}, {}, jnp.ones(()))
        )
        with pytest.raises(ValueError, match=rf'{type(layer).__name__} "head": expected an input with at least 1 axis'):
            refuse(*args)


@pytest.mark.parametrize(
    "cell", [layers.SimpleRNNCell(4), layers.LSTMCell(4), layers.StackedRNNCells((layers.GRUCell(4),))]
)
def test_a_cell_on_a_single_example(cell):
    params, state = cell.init(kfun.random.key(0), Spec((3,)))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), "float32")
    (y, states), _ = cell.apply(params, state, x)
    (alone, last), _ = kfun.vmap(lambda x: cell.apply(params, state, x))(x)
    np.testing.assert_allclose(alone, y, 1e-6)
    for a, b in zip(last, states, strict=True):
        np.testing.assert_allclose(a, b, 1e-6)


def test_noise_and_pooling_are_refused_before_they_are_run():
    for layer in (layers.SpatialDropout1D(0.1), layers.MaxPooling1D(2), layers.Cropping1D(1), layers.LSTM(3)):
        with pytest.raises(ValueError, match="expected an input with 3 axes"):
            layer.init(kfun.random.key(0), Spec((2, 3)))
    with pytest.raises(ValueError, match="leaves nothing of axis 1"):
        layers.Cropping1D((2, 1)).init(kfun.random.key(0), Spec((None, 3, 4)))
    layers.Cropping1D((2, 1)).init(kfun.random.key(0), Spec((None, None, 4)))
    with pytest.raises(ValueError, match="do not fill"):
        layers.Reshape((5, -1)).init(kfun.random.key(0), Spec((None, 3, 4)))
