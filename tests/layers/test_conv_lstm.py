"""What Keras on JAX cannot tell of convolutional LSTMs: masks in the loop, Keras's own only do unrolled."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from kfun import layers, random
from tests.layers.test_parity_keras import assert_close, leaves

MASK = np.array([[False, True, True, False], [True, False, False, True]])


def run(zero: bool, backwards: bool, unroll: bool, x, **call_args):
    layer = layers.ConvLSTM1D(
        3, 2, return_sequences=True, return_state=True, go_backwards=backwards, zero_output_for_mask=zero, unroll=unroll
    )
    params, state = layer.init(random.key(1), x)
    return layer.apply(params, state, x, **call_args)[0]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_a_masked_step_keeps_the_states_and_repeats_or_is_zero(zero, backwards):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    looped = run(zero, backwards, False, x, mask=MASK)
    assert_close(leaves(run(zero, backwards, True, x, mask=MASK)), leaves(looped), 1e-6, 1e-6, "unrolled")
    y, h, c = (np.asarray(a) for a in looped)
    for example in range(2):  # as if the masked steps were not there
        alone = run(zero, backwards, False, x[example : example + 1][:, MASK[example]])
        for received, expected in zip((h, c), alone[1:], strict=True):
            np.testing.assert_allclose(received[example], expected[0], rtol=1e-5, atol=1e-6)
    kept = MASK[:, ::-1] if backwards else MASK  # outputs are in the order in which they were computed
    before = np.zeros_like(y[:, 0])
    for t in range(4):
        for example in range(2):
            if not kept[example, t]:
                wanted = 0 if zero else before[example]
                np.testing.assert_allclose(y[example, t], np.broadcast_to(wanted, before[example].shape), atol=1e-6)
        before = y[:, t]


def test_a_stateful_layer_goes_on_where_it_ended():
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype("float32")
    layer = layers.ConvLSTM1D(3, 2, stateful=True)
    params, state = layer.init(random.key(1), x)
    assert jax.tree.map(np.shape, state) == {"states": {"0": (2, 4, 3), "1": (2, 4, 3)}}
    whole, _ = layer.apply(params, state, x)
    for part in (x[:, :2], x[:, 2:]):
        y, state = layer.apply(params, state, part)
    np.testing.assert_allclose(y, whole, rtol=1e-5, atol=1e-6)


def test_a_bidirectional_convolutional_lstm():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    layer = layers.Bidirectional(layers.ConvLSTM1D(3, 2))
    params, state = layer.init(random.key(1), x)
    y, _ = layer.apply(params, state, x)
    assert y.shape == (2, 4, 6)
    alone, _ = layers.ConvLSTM1D(3, 2).apply(params["backward_layer"], {}, x[:, ::-1])
    np.testing.assert_allclose(y[..., 3:], alone, rtol=1e-5, atol=1e-6)
