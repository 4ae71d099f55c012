"""The way to cuDNN's LSTM, with JAX's own reference of that kernel in its place, which runs on a CPU."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn as cudnn
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

import compat
from kfun import Spec, ops
from kfun.backends.jax import rnn
from kfun.layers import GRU, LSTM

B, T, C, H = 3, 5, 4, 6
SHAPES = [(B, T, C), (B, H), (B, H), (C, 4 * H), (H, 4 * H), (4 * H,)]


def arrays():
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), "float32") for shape in SHAPES]


@pytest.fixture
def kernel(monkeypatch):
    """Puts the reference in the kernel's place; gives the list of its calls' shapes."""
    calls = []

    def lstm(x, h, c, weights, lengths, features, units, layers, dropout, bidirectional):
        calls.append(x.shape)
        unpacked = cudnn.unpack_lstm_weights(weights, features, units, layers, bidirectional)
        return cudnn.lstm_ref(x, h, c, *unpacked, lengths, features, units, layers, dropout, bidirectional)

    monkeypatch.setattr(cudnn, "lstm", lstm)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    return calls


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biased", [True, False])
def test_weights_and_states_are_packed_as_the_kernel_has_them(kernel, biased, reverse):
    given = arrays() if biased else arrays()[:5]

    def results(*given, use_cudnn):
        given = (*given, None)[:6]
        return ops.lstm(*given, reverse=reverse, use_cudnn=use_cudnn)

    def loss(use_cudnn):
        return lambda *given: sum(jnp.sum(jnp.sin(y)) for y in results(*given, use_cudnn=use_cudnn))

    places = tuple(range(len(given)))
    for use_cudnn in (True, "auto"):
        for ours, theirs in zip(results(*given, use_cudnn=use_cudnn), results(*given, use_cudnn=False), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    gradients = [jax.grad(loss(use), places)(*given) for use in (True, False)]
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=5e-6)
    assert len(kernel) == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mask": np.ones((B, T), bool)}, "no mask"),
        ({"activation": ops.relu}, "tanh and sigmoid"),
        ({"recurrent_activation": ops.hard_sigmoid}, "tanh and sigmoid"),
        ({"x": jnp.zeros((B, T, C), "bfloat16")}, "bfloat16, float32"),
        ({"x": jnp.zeros((B, 0, C))}, "none of them 0"),
    ],
    ids=["mask", "activation", "recurrent_activation", "dtype", "size"],
)
def test_what_the_kernel_cannot_do(kernel, change, why):
    names = ["x", "h", "c", "kernel", "recurrent_kernel", "bias"]
    given = dict(zip(names, arrays(), strict=True)) | change
    with pytest.raises(ValueError, match=why):
        ops.lstm(**given, use_cudnn=True)
    plain = ops.lstm(**given)
    for ours, theirs in zip(ops.lstm(**given, use_cudnn="auto"), plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not kernel


def test_without_a_gpu_it_is_an_error_to_insist():
    with pytest.raises(ValueError, match="cpu"):
        ops.lstm(*arrays(), use_cudnn=True)
    with pytest.raises(ValueError, match="'auto'"):
        ops.lstm(*(np.asarray(a) for a in arrays()), use_cudnn=True)


def test_layers(kernel):
    spec, x = Spec((B, T, C)), arrays()[0]
    plain = LSTM(H, return_sequences=True, dropout=0.1)
    fused = plain.replace(use_cudnn="auto")
    params, state = plain.init(jax.random.key(0), spec)
    for training in (False, True):
        ours, theirs = (
            layer.apply(params, state, x, key=jax.random.key(1), training=training)[0] for layer in (fused, plain)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert len(kernel) == 2
    for layer in (LSTM(H, use_cudnn=True, unroll=True), GRU(H, use_cudnn=True)):
        made = layer.init(jax.random.key(0), spec)[0]
        with pytest.raises(ValueError, match="use_cudnn"):
            layer.apply(made, {}, x)
    with pytest.raises(ValueError, match="use_cudnn"):
        LSTM(H, use_cudnn="always")


def test_keras_layers_take_the_kernel_by_themselves(kernel):
    layer = compat.layers.LSTM(H)
    fused = layer(arrays()[0])
    assert kernel == [(B, T, C)]
    plain = compat.layers.LSTM(H, use_cudnn=False)
    plain.build((B, T, C))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(fused, plain(arrays()[0]), rtol=1e-5, atol=1e-6)
    assert len(kernel) == 1
    assert "use_cudnn" not in layer.get_config()
    for use in (True, False, "auto"):
        both = compat.layers.Bidirectional(compat.layers.GRU(2, use_cudnn=use))
        assert (both.forward_layer.use_cudnn, both.backward_layer.use_cudnn) == (use, use)


def test_mapped_calls_run_in_turn():
    def results(a, b, *, factor):
        return [factor * a + b, a.sum()]

    primitive = Primitive("two_results")
    primitive.multiple_results = True
    primitive.def_abstract_eval(lambda a, b, *, factor: [a, a.update(shape=())])
    mlir.register_lowering(primitive, mlir.lower_fun(results, multiple_results=True))
    batching.primitive_batchers[primitive] = rnn._in_turn(primitive)
    a, b = jnp.arange(6.0).reshape(3, 2), jnp.arange(3.0)
    mapped = jax.jit(jax.vmap(lambda a: primitive.bind(a, b, factor=3.0), in_axes=1))
    expected = jax.vmap(lambda a: results(a, b, factor=3.0), in_axes=1)(a)
    for ours, theirs in zip(mapped(a), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_kernels_primitives_can_be_mapped():
    rnn._let_batch()
    for primitive in (cudnn.rnn_fwd_p, cudnn.rnn_bwd_p):
        assert primitive in batching.fancy_primitive_batchers
