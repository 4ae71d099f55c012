"""Models that the tests of every exporter export, with their inputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import kfun
from kfun import Spec, layers, ops, random


class Convolutional(kfun.Block):
    """Two residual stages with batch normalization and pooling."""

    stem: layers.Conv2D = layers.Conv2D(8, 3, padding="same", use_bias=False)
    norms: tuple = tuple(layers.BatchNormalization() for _ in range(3))
    convolutions: tuple = tuple(layers.Conv2D(8, 3, padding="same") for _ in range(2))
    pool: layers.MaxPooling2D = layers.MaxPooling2D(2)
    shrink: layers.AveragePooling2D = layers.AveragePooling2D(3, strides=2, padding="same")
    head: layers.Dense = layers.Dense(10, "softmax")

    def forward(self, f, x):
        x = f.pool(ops.relu(f.norms[0](f.stem(x))))
        for convolution, norm in zip(f.convolutions, f.norms[1:], strict=True):
            x = ops.relu(x + norm(convolution(x)))
        return f.head(ops.mean(f.shrink(x), (1, 2)))


class Encoder(kfun.Block):
    """A transformer layer over tokens with a table of positions that is sliced to the length."""

    tokens: layers.Embedding = layers.Embedding(50, 16)
    positions: layers.Embedding = layers.Embedding(64, 16)
    attention: layers.MultiHeadAttention = layers.MultiHeadAttention(4, 4)
    norms: tuple = (layers.LayerNormalization(), layers.LayerNormalization())
    inner: layers.Dense = layers.Dense(32, "gelu")
    outer: layers.Dense = layers.Dense(16)
    head: layers.Dense = layers.Dense(50)

    def forward(self, f, x):
        h = f.tokens(x) + f.positions(ops.arange(ops.shape(x)[1]))
        n = f.norms[0](h)
        h = h + f.attention(n, n, use_causal_mask=True)
        return f.head(h + f.outer(f.inner(f.norms[1](h))))


class Sliced:
    """The same idea written by hand: the size is the only graph argument of the slice."""

    def init(self):
        draw = np.random.default_rng(5).normal
        shapes = {"embed": (50, 16), "table": (64, 16), "qkv": (16, 3, 4, 4), "out": (4, 4, 16), "head": (16, 50)}
        return {k: np.asarray(draw(size=s) / 4, "float32") for k, s in shapes.items()}, {}

    def apply(self, params, state, x, *, training=False):
        h = ops.take(params["embed"], x, 0)
        _, t, c = ops.shape(h)
        h = h + ops.slice(params["table"], (0, 0), (t, c))
        q, k, v = ops.unstack(ops.einsum("btc,cknh->btknh", ops.layer_normalization(h), params["qkv"]), 3, 2)
        h = h + ops.einsum("btnh,nhc->btc", ops.dot_product_attention(q, k, v, is_causal=True), params["out"])
        return {"logits": ops.matmul(h, params["head"]), "last": ops.getitem(h, (slice(None), t - 1))}, state


def initialized(layer, *specs):
    if isinstance(layer, Sliced):
        return layer.init()
    params, state = layer.init(random.key(0), *specs)
    # Statistics as after training, so that batch normalization does something.
    draw = np.random.default_rng(1)
    return params, jax.tree.map(lambda x: jnp.asarray(draw.uniform(0.5, 1.5, x.shape), x.dtype), state)


def floats(*shape):
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def tokens(*shape):
    return np.random.default_rng(3).integers(0, 50, shape).astype("int32")


IMAGE, SEQUENCE, TOKENS = Spec((None, 16, 16, 3)), Spec((None, None, 6)), Spec((None, None), "int32")
MODELS = {
    "mlp": (
        kfun.Sequential([layers.Dense(32, "relu"), layers.Dropout(0.5), layers.Dense(10, "softmax")]),
        Spec((None, 20)),
        [floats(1, 20), floats(7, 20)],
    ),
    "cnn": (Convolutional(), IMAGE, [floats(1, 16, 16, 3), floats(5, 16, 16, 3)]),
    "lstm": (
        kfun.Sequential([layers.LSTM(8, return_sequences=True), layers.LSTM(5, go_backwards=True), layers.Dense(3)]),
        SEQUENCE,
        [floats(1, 9, 6), floats(4, 3, 6)],
    ),
    "lstm by scan": (
        kfun.Sequential([layers.LSTM(8, activation="softsign", return_sequences=True), layers.Dense(3)]),
        SEQUENCE,
        [floats(1, 9, 6), floats(4, 3, 6)],
    ),
    "gru": (
        kfun.Sequential([layers.GRU(8, return_sequences=True), layers.GRU(5, reset_after=False)]),
        SEQUENCE,
        [floats(1, 9, 6), floats(4, 3, 6)],
    ),
    "bidirectional": (
        kfun.Sequential([layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.SimpleRNN(3)]),
        SEQUENCE,
        [floats(2, 5, 6)],
    ),
    "transformer": (Encoder(), TOKENS, [tokens(1, 7), tokens(3, 12)]),
    "sliced positions": (Sliced(), TOKENS, [tokens(1, 7), tokens(3, 12)]),
}


def dense():
    layer = layers.Dense(3)
    return layer, *layer.init(random.key(0), Spec((None, 4)))


class Pair:
    """Takes a tree of inputs and gives a tree of outputs, one of them an input, one a constant."""

    def apply(self, params, state, x, more, *, training=False):
        assert training is False
        total = x + more["a"] * params
        return {"sum": total, "parts": [total, more["b"], np.float32([1, 2]), ops.shape(x)[0]]}, state


def embedding():
    layer = layers.Embedding(5, 2)
    return layer, *layer.init(random.key(0), Spec((None,), "int32"))
