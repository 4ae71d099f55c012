"""The networks of `bench.research` in kfun, in JAX by hand, in Equinox and in Flax NNX, with the same weights.

Each library is used as its own documents do. Where it leaves a choice that changes the numbers (epsilons,
biases, which GELU), all four make the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx

import kfun
from kfun import layers

WIDTH, HEADS, INNER, EPSILON, RATE = 64, 4, 256, 1e-6, 1e-3
gelu = functools.partial(jax.nn.gelu, approximate=False)


class Net(NamedTuple):
    """One network in one library."""

    weights: Any  # what a step takes and gives
    forward: Callable  # (weights, x) -> y, eagerly
    step: Callable  # (weights, x, target) -> (weights, loss): one of gradient descent, compiled
    make: Callable | None = None  # () -> weights, drawn anew


def loss_of(y: Any, target: Any) -> Any:
    """The mean squared error."""
    return jnp.mean(jnp.square(y - target))


def descend(weights: Any, gradient: Any) -> Any:
    """Weights after a step along the gradient."""
    return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient)


def pure_step(forward: Callable) -> Callable:
    """A step of a pure function `(weights, x) -> y`, to be compiled."""

    def step(weights, x, target):
        loss, gradient = jax.value_and_grad(lambda w: loss_of(forward(w, x), target))(weights)
        return descend(weights, gradient), loss

    return step


# kfun.


class Block(kfun.Block):
    """Attention and two dense layers, each normalized before and added to its input."""

    norm_1: layers.LayerNormalization
    attention: layers.MultiHeadAttention
    norm_2: layers.LayerNormalization
    inner: layers.Dense
    outer: layers.Dense

    def forward(self, f, x):
        h = f.norm_1(x)
        x = x + f.attention(h, h)
        return x + f.outer(f.inner(f.norm_2(x)))


def kfun_block() -> kfun.Layer:
    """One block of the transformer."""
    norm = layers.LayerNormalization(epsilon=EPSILON)
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
    return Block(norm, attention, norm, layers.Dense(INNER, "gelu"), layers.Dense(WIDTH))


def kfun_residual() -> kfun.Layer:
    """Two dense layers, normalized before and added to their input: half of a block."""
    norm = layers.LayerNormalization(epsilon=EPSILON)
    return kfun.Residual(kfun.Sequential([norm, layers.Dense(INNER, "gelu"), layers.Dense(WIDTH)]))


def kfun_mlp(depth: int) -> kfun.Layer:
    """Dense layers in a row, the last without an activation."""
    return kfun.Sequential([*[layers.Dense(WIDTH, "relu")] * (depth - 1), layers.Dense(WIDTH)])


def kfun_transformer(depth: int) -> kfun.Layer:
    """Blocks in a row."""
    return kfun.Sequential([kfun_block()] * depth)


def kfun_step(net: kfun.Layer) -> Callable:
    """A step of a network of kfun, whose weights are `(params, state)`, to be compiled."""

    def step(weights, x, target):
        params, state = weights

        def objective(params):
            y, new = net.apply(params, state, x, training=True)
            return loss_of(y, target), new

        (loss, state), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        return (descend(params, gradient), state), loss

    return step


def in_kfun(make: Callable[[], kfun.Layer], x: Any) -> Net:
    """A network of kfun; `make` gives its definition, which is part of making it."""
    net, spec, key = make(), kfun.Spec.of(x), kfun.random.key(0)

    def forward(weights, x):
        return net.apply(*weights, x)[0]

    return Net(net.init(key, spec), forward, jax.jit(kfun_step(net)), lambda: make().init(key, spec))


# By hand: nested dicts of arrays, and functions of them.


def _dense(p, x):
    return x @ p["w"] + p["b"]


def hand_mlp(params, x):
    """The dense layers, written out."""
    for i in range(len(params) - 1):
        x = jax.nn.relu(_dense(params[f"layer_{i}"], x))
    return _dense(params[f"layer_{len(params) - 1}"], x)


def _norm(p, x):
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), -1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + EPSILON) * p["scale"] + p["shift"]


def _attention(p, x):
    split = (*x.shape[:2], HEADS, WIDTH // HEADS)
    q, k, v = (_dense(p[name], x).reshape(split) for name in ("query", "key", "value"))  # [B, T, N, H]
    return _dense(p["output"], jax.nn.dot_product_attention(q, k, v).reshape(x.shape))


def _feedforward(p, x):
    return x + _dense(p["outer"], gelu(_dense(p["inner"], _norm(p["norm_2"], x))))


def hand_transformer(params, x):
    """The blocks, written out."""
    for i in range(len(params)):
        p = params[f"block_{i}"]
        x = x + _attention(p["attention"], _norm(p["norm_1"], x))
        x = _feedforward(p, x)
    return x


def hand_residual(params, x):
    """The second halves of blocks, written out."""
    for i in range(len(params)):
        x = _feedforward(params[f"layer_{i}"], x)
    return x


def hand_scanned(params, x):
    """The same as a loop over stacked weights."""
    return jax.lax.scan(lambda x, p: (_feedforward(p, x), None), x, params)[0]


def _weight(p: dict) -> dict:
    return {"w": p["kernel"], "b": p["bias"]}


def _scale(p: dict) -> dict:
    return {"scale": p["gamma"], "shift": p["beta"]}


def hand_dense_params(params: dict) -> dict:
    """The weights of a row of kfun's dense layers, as one writes them by hand."""
    return {f"layer_{i}": _weight(p) for i, p in enumerate(params.values())}


def hand_residual_params(p: dict) -> dict:
    """The weights of kfun's residual layer, or of a `kfun.Stack` of them, as one writes them by hand."""
    dense = {name: _weight(p[ours]) for name, ours in (("inner", "dense"), ("outer", "dense_1"))}
    return {"norm_2": _scale(p["layer_normalization"]), **dense}


def _matrix(p: dict, output: bool = False) -> dict:
    """A projection of kfun's attention, its axes of heads joined."""
    kernel = p["kernel"].reshape((-1, WIDTH) if output else (WIDTH, -1))
    return {"w": kernel, "b": p["bias"].reshape(-1)}


def _hand_block(p: dict) -> dict:
    parts = p["attention"]
    attention = {name: _matrix(parts[name]) for name in ("query", "key", "value")}
    norms = {name: _scale(p[name]) for name in ("norm_1", "norm_2")}
    dense = {name: _weight(p[name]) for name in ("inner", "outer")}
    return {"attention": attention | {"output": _matrix(parts["attention_output"], True)}, **norms, **dense}


def hand_transformer_params(params: dict) -> dict:
    """The weights of kfun's transformer, as one writes them by hand."""
    return {f"block_{i}": _hand_block(p) for i, p in enumerate(params.values())}


def by_hand(forward: Callable, params: dict) -> Net:
    """A network of functions and nested dicts."""
    return Net(params, forward, jax.jit(pure_step(forward)))


# Equinox.


class EqxMLP(eqx.Module):
    """Linear layers in a row, of one sample."""

    layers: list

    def __init__(self, depth: int, key: Any):
        self.layers = [eqx.nn.Linear(WIDTH, WIDTH, key=k) for k in jax.random.split(key, depth)]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


class EqxBlock(eqx.Module):
    """One block, of one sample."""

    norm_1: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    norm_2: eqx.nn.LayerNorm
    inner: eqx.nn.Linear
    outer: eqx.nn.Linear

    def __init__(self, key: Any):
        keys = jax.random.split(key, 3)
        biases = dict.fromkeys(("use_query_bias", "use_key_bias", "use_value_bias", "use_output_bias"), True)
        self.norm_1, self.norm_2 = eqx.nn.LayerNorm(WIDTH, EPSILON), eqx.nn.LayerNorm(WIDTH, EPSILON)
        self.attention = eqx.nn.MultiheadAttention(HEADS, WIDTH, **biases, key=keys[0])
        self.inner, self.outer = eqx.nn.Linear(WIDTH, INNER, key=keys[1]), eqx.nn.Linear(INNER, WIDTH, key=keys[2])

    def __call__(self, x):
        h = jax.vmap(self.norm_1)(x)
        x = x + self.attention(h, h, h)
        h = gelu(jax.vmap(self.inner)(jax.vmap(self.norm_2)(x)))
        return x + jax.vmap(self.outer)(h)


class EqxTransformer(eqx.Module):
    """Blocks in a row, of one sample."""

    layers: list

    def __init__(self, depth: int, key: Any):
        self.layers = [EqxBlock(k) for k in jax.random.split(key, depth)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def _linear(linear: eqx.nn.Linear, p: dict) -> eqx.nn.Linear:
    return eqx.tree_at(lambda m: (m.weight, m.bias), linear, (p["w"].T, p["b"]))


def _eqx_layer(layer: Any, p: dict) -> Any:
    """The layer with weights that were written by hand."""
    if isinstance(layer, eqx.nn.Linear):
        return _linear(layer, p)
    if isinstance(layer, eqx.nn.LayerNorm):
        return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (p["scale"], p["shift"]))
    names = {f"{n}_proj": n for n in ("query", "key", "value", "output")} if hasattr(layer, "query_proj") else None
    names = names or {n: n for n in ("norm_1", "attention", "norm_2", "inner", "outer")}
    parts = [_eqx_layer(getattr(layer, field), p[name]) for field, name in names.items()]
    return eqx.tree_at(lambda m: [getattr(m, field) for field in names], layer, parts)


def in_equinox(make: Callable[[Any], Any], hand: dict) -> Net:
    """A network of Equinox with weights that were written by hand."""
    key = jax.random.key(0)
    model = make(key)
    filled = [_eqx_layer(layer, p) for layer, p in zip(model.layers, hand.values(), strict=True)]
    model = eqx.tree_at(lambda m: m.layers, model, filled)

    def forward(model, x):
        return jax.vmap(model)(x)

    @eqx.filter_jit
    def step(model, x, target):
        loss, gradient = eqx.filter_value_and_grad(lambda m: loss_of(forward(m, x), target))(model)
        return eqx.apply_updates(model, jax.tree.map(lambda g: -RATE * g, gradient)), loss

    return Net(model, forward, step, lambda: make(key))


# Flax NNX.


class NnxMLP(nnx.Module):
    """Linear layers in a row."""

    def __init__(self, depth: int, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(depth)])

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


class NnxBlock(nnx.Module):
    """One block."""

    def __init__(self, rngs: nnx.Rngs):
        self.norm_1 = nnx.LayerNorm(WIDTH, epsilon=EPSILON, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, deterministic=True, rngs=rngs)
        self.norm_2 = nnx.LayerNorm(WIDTH, epsilon=EPSILON, rngs=rngs)
        self.inner, self.outer = nnx.Linear(WIDTH, INNER, rngs=rngs), nnx.Linear(INNER, WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.outer(gelu(self.inner(self.norm_2(x))))


class NnxTransformer(nnx.Module):
    """Blocks in a row."""

    def __init__(self, depth: int, rngs: nnx.Rngs):
        self.layers = nnx.List([NnxBlock(rngs) for _ in range(depth)])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def _nnx_fill(layer: Any, p: dict) -> None:
    """Puts weights that were written by hand into a layer."""
    if "w" in p:
        layer.kernel[...], layer.bias[...] = p["w"].reshape(layer.kernel.shape), p["b"].reshape(layer.bias.shape)
    elif "scale" in p:
        layer.scale[...], layer.bias[...] = p["scale"], p["shift"]
    else:
        for name, part in p.items():
            _nnx_fill(layer.out if name == "output" else getattr(layer, name), part)


def in_nnx(make: Callable[[nnx.Rngs], Any], hand: dict) -> Net:
    """A network of Flax NNX with weights that were written by hand."""
    model = make(nnx.Rngs(0))
    for layer, p in zip(model.layers, hand.values(), strict=True):
        _nnx_fill(layer, p)

    @nnx.jit
    def step(model, x, target):
        loss, gradient = nnx.value_and_grad(lambda m: loss_of(m(x), target))(model)
        nnx.update(model, descend(nnx.state(model, nnx.Param), gradient))
        return loss

    return Net(model, lambda model, x: model(x), lambda model, x, target: (model, step(model, x, target)))
