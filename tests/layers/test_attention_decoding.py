"""Decoding with a cache of keys and values: the numbers of the full causal forward, position by position."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kfun
from kfun import Policy, Spec, layers, ops
from kfun.errors import UnknownSizeError
from kfun.surgery import map_layers
from kfun.testing_layers import sweep_layer

_T = 7
_X = np.random.default_rng(3).normal(size=(2, _T, 6)).astype("float32")
_MULTI = layers.MultiHeadAttention(2, 4)
_GROUPED = layers.GroupQueryAttention(4, 4, 2)
LAYERS = {
    "multi-head": _MULTI,
    "multi-head, rotary": _MULTI.replace(rope=True),
    "values of another size": _MULTI.replace(value_dim=3, output_shape=5, rope=True),
    "gated": _MULTI.replace(use_gate=True),
    "a window": _MULTI.replace(sliding_window=3, rope=100.0),
    "plain products": _MULTI.replace(flash_attention=False),
    "grouped": _GROUPED,
    "grouped, rotary": _GROUPED.replace(rope=500.0, use_bias=False),
}
_CAUSAL = {"use_causal_mask": True}


def made(layer, size=_T, x=_X):
    """`(params, decoding layer, its first state)`."""
    params, _ = layer.init(kfun.random.key(5), Spec.of(x), Spec.of(x))
    decode = layer.replace(cache_size=size)
    token = Spec((x.shape[0], 1, x.shape[2]), str(x.dtype))
    return params, decode, decode.init(kfun.random.key(0), token, token)[1]


def in_pieces(decode, params, state, x, ends, **call_args):
    """The outputs of calls on `x` cut at `ends`."""
    found = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        part = x[:, start:end]
        y, state = decode.apply(params, state, part, part, **call_args)
        found.append(y)
    return jnp.concatenate(found, 1), state


@pytest.mark.parametrize("ends", [tuple(range(1, _T + 1)), (4, 5, _T)], ids=["one by one", "prefill"])
@pytest.mark.parametrize("name", LAYERS)
def test_decoding_gives_the_full_causal_forward(name, ends):
    params, decode, state = made(LAYERS[name])
    full, _ = LAYERS[name].apply(params, {}, _X, _X, **_CAUSAL)
    pieces, last = in_pieces(decode, params, state, _X, ends, **_CAUSAL)
    np.testing.assert_allclose(pieces, full, rtol=1e-5, atol=1e-5)
    assert int(last["cache"]["position"]) == _T


@pytest.mark.parametrize("name", ["multi-head, rotary", "grouped, rotary"])
def test_a_compiled_scan_over_tokens_with_room_to_spare(name):
    params, decode, state = made(LAYERS[name], size=20)
    full, _ = LAYERS[name].apply(params, {}, _X, _X, **_CAUSAL)

    @jax.jit
    def run(params, state, tokens):
        def step(state, token):
            y, state = decode.apply(params, state, token[:, None], token[:, None], **_CAUSAL)
            return state, y[:, 0]

        return jax.lax.scan(step, state, tokens)

    last, ys = run(params, state, _X.swapaxes(0, 1))
    np.testing.assert_allclose(ys.swapaxes(0, 1), full, rtol=1e-5, atol=1e-5)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), last) == jax.tree.map(lambda x: (x.shape, x.dtype), state)


def test_mapped_over_sequences_each_with_a_cache_at_a_place_of_its_own():
    layer = LAYERS["multi-head, rotary"]
    params, decode, _ = made(layer, x=_X[:1])
    full, _ = layer.apply(params, {}, _X, _X, **_CAUSAL)
    token = Spec((1, 1, 6))
    empty = decode.init(kfun.random.key(0), token, token)[1]
    begun = [in_pieces(decode, params, empty, _X[i : i + 1], (n,), **_CAUSAL)[1] for i, n in ((0, 2), (1, 4))]
    states = jax.tree.map(lambda *xs: jnp.stack(xs), *begun)
    tokens = np.stack([_X[0:1, 2:3], _X[1:2, 4:5]])
    y, _ = jax.vmap(lambda s, x: decode.apply(params, s, x, x, **_CAUSAL))(states, tokens)
    np.testing.assert_allclose(y[0, 0, 0], full[0, 2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(y[1, 0, 0], full[1, 4], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["multi-head, rotary", "grouped, rotary"])
def test_half_precision_is_cached_in_half_precision(name):
    layer = LAYERS[name].replace(policy=Policy(compute="bfloat16"))
    params, decode, state = made(layer)
    assert {str(state["cache"][n].dtype) for n in ("key", "value")} == {"bfloat16"}
    full, _ = layer.apply(params, {}, _X, _X, **_CAUSAL)
    pieces, last = in_pieces(decode, params, state, _X, (3, 4, 5, 6, 7), **_CAUSAL)
    assert pieces.dtype == full.dtype == "bfloat16"
    assert last["cache"]["key"].dtype == "bfloat16"
    full, pieces = (np.asarray(y, "float32") for y in (full, pieces))
    np.testing.assert_allclose(pieces, full, rtol=1e-5, atol=1e-5)


class Block(kfun.Block):
    attention: kfun.Layer
    inner: kfun.Layer

    def forward(self, f, x):
        x = x + f.attention(x, x, use_causal_mask=True)
        return x + f.inner(x)


def _networks():
    block = Block(_GROUPED.replace(rope=True), layers.Dense(6, "gelu"))
    many = kfun.Sequential([kfun.Remat(block), kfun.Stack(block, 2), layers.Dense(3)])
    x = kfun.Input((None, 6))
    graph = kfun.Graph.of(x, layers.Dense(3)(_MULTI(x, x, use_causal_mask=True)))
    return {"stacks and blocks": many, "a graph": graph, "an ensemble": kfun.Ensemble(block, 2)}


def _decoding(layer):
    return layer.replace(cache_size=9) if isinstance(layer, layers.attention.HeadedAttention) else layer


@pytest.mark.parametrize("name", _networks())
def test_a_network_decodes_with_the_params_that_it_was_trained_with(name):
    net = _networks()[name]
    params, _ = net.init(kfun.random.key(1), Spec.of(_X))
    decode = map_layers(net, _decoding)
    _, state = decode.init(kfun.random.key(0), Spec((2, 1, 6)))
    full, nothing = net.apply(params, {}, _X)
    assert nothing == {}
    step = jax.jit(decode.apply)
    axis = full.ndim - 2
    for t in range(_T):
        y, state = step(params, state, _X[:, t : t + 1])
        np.testing.assert_allclose(ops.squeeze(y, axis), ops.take(full, t, axis), rtol=1e-5, atol=1e-5)


def test_padding_on_the_left_is_not_seen_later():
    layer = LAYERS["multi-head, rotary"]
    params, decode, state = made(layer, size=10)
    mask = np.array([[True] * 4, [False, False, True, True]])
    y, state = decode.apply(params, state, _X[:, :4], _X[:, :4], value_mask=mask, **_CAUSAL)
    y, _ = decode.apply(params, state, _X[:, 4:5], _X[:, 4:5], **_CAUSAL)
    # Rotary embeddings know distances alone, so the shorter row is as one without the padding.
    alone, _ = layer.apply(params, {}, _X[1:, 2:5], _X[1:, 2:5], **_CAUSAL)
    np.testing.assert_allclose(y[1, 0], alone[0, -1], rtol=1e-5, atol=1e-5)
    full, _ = layer.apply(params, {}, _X[:1], _X[:1], **_CAUSAL)
    np.testing.assert_allclose(y[0, 0], full[0, 4], rtol=1e-5, atol=1e-5)


def test_without_a_causal_mask_all_that_is_held_is_seen_and_nothing_else():
    params, decode, state = made(_MULTI, size=12)
    y, _ = in_pieces(decode, params, state, _X, (3,))
    expected, _ = _MULTI.apply(params, {}, _X[:, :3], _X[:, :3])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_scores_and_attention_masks_are_of_the_whole_cache():
    params, decode, state = made(_MULTI, size=9)
    hidden = np.ones((2, 4, 9), "bool")
    hidden[:, :, 1] = False
    (y, scores), _ = decode.apply(
        params, state, _X[:, :4], _X[:, :4], attention_mask=hidden, return_attention_scores=True, **_CAUSAL
    )
    expected, theirs = _MULTI.apply(
        params, {}, _X[:, :4], _X[:, :4], attention_mask=hidden[:, :, :4], return_attention_scores=True, **_CAUSAL
    )[0]
    assert scores.shape == (2, 2, 4, 9)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores[..., :4], theirs, rtol=1e-5, atol=1e-6)
    assert not np.any(scores[..., 4:])


def test_gradients_go_through_a_prefill():
    params, decode, state = made(LAYERS["grouped, rotary"], size=9)

    def loss(layer, params, state, x):
        return jnp.sum(jnp.square(layer.apply(params, state, x, x, **_CAUSAL)[0]))

    ours = jax.grad(loss, argnums=(1, 3))(decode, params, state, _X)
    theirs = jax.grad(loss, argnums=(1, 3))(LAYERS["grouped, rotary"], params, {}, _X)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)


@pytest.mark.parametrize("layer", [_MULTI, _GROUPED], ids=["multi-head", "grouped"])
def test_positions_beyond_the_cache_are_an_error_or_not_numbers(layer):
    params, decode, state = made(layer, size=4)
    with pytest.raises(ValueError, match="room for 4 positions; received 7 more after 0"):
        decode.apply(params, state, _X, _X, **_CAUSAL)
    with pytest.raises(ValueError, match="room for 4 positions; received 7 more after 0"):
        jax.jit(decode.apply)(params, state, _X, _X)
    _, state = decode.apply(params, state, _X[:, :3], _X[:, :3], **_CAUSAL)
    with pytest.raises(ValueError, match="room for 4 positions; received 2 more after 3"):
        decode.apply(params, state, _X[:, 3:5], _X[:, 3:5], **_CAUSAL)
    run = jax.jit(lambda s, x: decode.apply(params, s, x, x, return_attention_scores=True, **_CAUSAL))
    (y, scores), full = run(state, _X[:, 3:4])
    assert np.all(np.isfinite(y))
    assert np.all(np.isfinite(scores))
    for _ in range(2):
        (y, scores), full = run(full, _X[:, 4:5])
        assert np.all(np.isnan(y))
        assert np.all(np.isnan(scores))
    assert int(full["cache"]["position"]) == 6


def test_misuse_says_what_was_received_and_what_to_do():
    params, decode, state = made(_MULTI)
    with pytest.raises(
        UnknownSizeError, match=r"cache_size=7.*\[B, 7, 2, 4\]; received an input of shape \(None, 1, 6\)"
    ):
        decode.init(kfun.random.key(0), Spec((None, 1, 6)), Spec((None, 1, 6)))
    with pytest.raises(ValueError, match=r"the state has no cache.*use the state that init gives"):
        decode.apply(params, {}, _X, _X)
    with pytest.raises(ValueError, match="made for batches of 2; received 1"):
        decode.apply(params, state, _X[:1], _X[:1])
    with pytest.raises(ValueError, match="the same new positions; received shapes"):
        decode.apply(params, state, _X[:, :1], _X[:, :2])
    with pytest.raises(ValueError, match=r"attention_mask is of all its positions, \[B, T, 7\]"):
        decode.apply(params, state, _X[:, :2], _X[:, :2], attention_mask=np.ones((2, 2, 2), "bool"))
    for options in ({"cache_size": 3}, {"rope": True}):
        with pytest.raises(ValueError, match=r"3 axes \[B, T, C\]"):
            _MULTI.replace(**options).init(kfun.random.key(0), Spec((2, 3, 4, 5)), Spec((2, 3, 4, 5)))
    with pytest.raises(ValueError, match="must be even; received 3"):
        layers.MultiHeadAttention(2, 3, rope=True)
    for wrong in (0, -1.0, "long", float("inf"), float("nan")):
        with pytest.raises(ValueError, match="argument `rope` must be a positive number"):
            layers.GroupQueryAttention(4, 4, 2, rope=wrong)
    with pytest.raises(ValueError, match="positive integer; received 0"):
        _MULTI.replace(cache_size=0)


def _turned(x, wavelength):
    """Rotary embedding by complex numbers: pair i of a head is one, turned about 0."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] / wavelength ** (2 * np.arange(half) / (2 * half))
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)[None, :, None, :]
    return np.concatenate([turned.real, turned.imag], -1)


@pytest.mark.parametrize("wavelength", [True, 50.0])
@pytest.mark.parametrize("layer", [_MULTI, layers.GroupQueryAttention(4, 2, 2)], ids=["multi-head", "grouped"])
def test_rotary_embeddings_are_those_of_the_paper(layer, wavelength):
    params, _ = layer.init(kfun.random.key(2), Spec.of(_X), Spec.of(_X))
    q, k, v = (np.einsum("btc,cnh->btnh", _X.astype("float64"), params[n]["kernel"]) for n in ("query", "key", "value"))
    q, k = (_turned(x, 10_000.0 if wavelength is True else wavelength) for x in (q, k))
    scores = np.einsum("btnh,bsnh->bnts", q, k) / 2
    scores = np.where(np.tril(np.ones((_T, _T), "bool")), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bnts,bsnh,nhc->btc", weights, v, params["attention_output"]["kernel"])
    y, _ = layer.replace(rope=wavelength).apply(params, {}, _X, _X, **_CAUSAL)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(y, layer.apply(params, {}, _X, _X, **_CAUSAL)[0], atol=1e-3)


@pytest.mark.parametrize("name", ["multi-head, rotary", "grouped"])
def test_the_invariants_of_layers_hold_on_every_backend(name):
    x = _X[:, :3]
    sweep_layer(LAYERS[name].replace(cache_size=5), x, x, call_args=_CAUSAL, training=(False,), known_batch=True)


@pytest.mark.parametrize("backend", ["torch", "tensorflow", "numpy"])
def test_other_backends_decode_on(backend):
    pytest.importorskip(backend)
    layer = LAYERS["grouped, rotary"]
    params, decode, state = made(layer)
    full, _ = layer.apply(params, {}, _X, _X, **_CAUSAL)
    params, state = kfun.convert((params, state), backend)
    with kfun.backend(backend):
        for start, end in ((0, 4), (4, 5), (5, 7)):
            part = kfun.convert(_X[:, start:end], backend)
            y, state = decode.apply(params, state, part, part, **_CAUSAL)
            np.testing.assert_allclose(ops.convert_to_numpy(y), full[:, start:end], rtol=1e-5, atol=1e-5)
        if backend != "numpy":  # their arrays do not say whether they are traced
            y, _ = decode.apply(params, state, part, part, **_CAUSAL)
            assert np.all(np.isnan(ops.convert_to_numpy(y)))
