"""The programs of the guide for researchers, as short as they are written in Flax NNX.

Each function holds one program: model, init and training step. Its last statement gives what the tests need, and is
not counted.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx


def ensemble():
    @nnx.vmap
    def init(key):
        rngs = nnx.Rngs(key)
        net = nnx.Sequential(nnx.Linear(2, 32, rngs=rngs), jnp.tanh, nnx.Linear(32, 2, rngs=rngs))
        return net, nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)

    def loss(net, x, y):
        return optax.losses.softmax_cross_entropy_with_integer_labels(net(x), y).mean()

    @nnx.jit
    @nnx.vmap(in_axes=(0, 0, None, None))
    def train(net, optimizer, x, y):
        value, grads = nnx.value_and_grad(loss)(net, x, y)
        optimizer.update(net, grads)
        return value

    nets, optimizers = init(jax.random.split(jax.random.key(0), 16))
    return nets, optimizers, train


def maml():
    rngs = nnx.Rngs(0)
    net = nnx.Sequential(nnx.Linear(1, 32, rngs=rngs), jnp.tanh, nnx.Linear(32, 1, rngs=rngs))
    optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)

    def loss(net, x, y):
        return jnp.mean((net(x) - y) ** 2)

    def adapt(net, x, y):
        graphdef, params = nnx.split(net)
        for _ in range(2):
            grads = jax.grad(lambda p: loss(nnx.merge(graphdef, p), x, y))(params)
            params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        return nnx.merge(graphdef, params)

    def meta_loss(net, support, query):
        return jax.vmap(lambda s, q: loss(adapt(net, *s), *q))(support, query).mean()

    @nnx.jit
    def step(net, optimizer, support, query):
        value, grads = nnx.value_and_grad(meta_loss)(net, support, query)
        optimizer.update(net, grads)
        return value

    return net, optimizer, step


def dpsgd():
    rngs = nnx.Rngs(0)
    net = nnx.Sequential(nnx.Linear(2, 32, rngs=rngs), jnp.tanh, nnx.Linear(32, 2, rngs=rngs))
    optimizer = nnx.Optimizer(net, optax.sgd(0.5), wrt=nnx.Param)
    CLIP = 1.0

    def loss(net, x, y):
        return optax.losses.softmax_cross_entropy_with_integer_labels(net(x), y)

    @nnx.jit
    def step(net, optimizer, key, noise, x, y):
        grads = nnx.vmap(nnx.grad(loss), in_axes=(None, 0, 0))(net, x, y)
        scale = jnp.minimum(1, CLIP / jax.vmap(optax.tree.norm)(grads))
        total = jax.tree.map(lambda g: jnp.tensordot(scale, g, 1), grads)
        normal = optax.tree.random_like(key, total)
        grads = jax.tree.map(lambda g, z: (g + CLIP * noise * z) / len(x), total, normal)
        optimizer.update(net, grads)

    return net, optimizer, step


def transformer():
    V, T, D, HEADS, DEPTH = 16, 24, 32, 4, 3

    class Attend(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.LayerNorm(D, epsilon=1e-5, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(HEADS, D, use_bias=False, decode=False, rngs=rngs)
            self.norm2 = nnx.LayerNorm(D, epsilon=1e-5, rngs=rngs)
            self.expand = nnx.Linear(D, 4 * D, rngs=rngs)
            self.contract = nnx.Linear(4 * D, D, rngs=rngs)

        def __call__(self, x):
            x = x + self.attention(self.norm(x), mask=nnx.make_causal_mask(x[..., 0]))
            return x + self.contract(jax.nn.relu(self.expand(self.norm2(x))))

    class LanguageModel(nnx.Module):
        def __init__(self, rngs):
            self.embed = nnx.Embed(V, D, rngs=rngs)
            self.positions = nnx.Param(0.05 * rngs.normal((T, D)))
            self.blocks = nnx.vmap(Attend)(rngs.split(DEPTH))
            self.norm = nnx.LayerNorm(D, epsilon=1e-5, rngs=rngs)

        def __call__(self, tokens):
            x = self.embed(tokens) + self.positions[: tokens.shape[1]]
            run = nnx.remat(lambda x, block: block(x))
            x = nnx.scan(run, in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.blocks)
            return self.embed.attend(self.norm(x))

    net = LanguageModel(nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)

    def loss(net, tokens):
        logits = net(tokens[:, :-1])
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    @nnx.jit
    def step(net, optimizer, tokens):
        value, grads = nnx.value_and_grad(loss)(net, tokens)
        optimizer.update(net, grads)
        return value

    return net, optimizer, step


def vae():
    class VAE(nnx.Module):
        def __init__(self, rngs):
            self.encoder = nnx.Sequential(nnx.Linear(8, 32, rngs=rngs), jnp.tanh, nnx.Linear(32, 2 * 2, rngs=rngs))
            self.decoder = nnx.Sequential(nnx.Linear(2, 32, rngs=rngs), jnp.tanh, nnx.Linear(32, 8, rngs=rngs))

        def encode(self, x):
            return jnp.split(self.encoder(x), 2, -1)

        def decode(self, z):
            return self.decoder(z)

        def __call__(self, x, key):
            mean, log_std = self.encode(x)
            z = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
            return self.decode(z), mean, log_std

    net = VAE(nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)

    def loss(net, key, x):
        y, mean, log_std = net(x, key)
        kl = 0.5 * (mean**2 + jnp.exp(2 * log_std) - 1) - log_std
        return jnp.mean(jnp.sum((x - y) ** 2, -1) + 0.1 * jnp.sum(kl, -1))

    @nnx.jit
    def step(net, optimizer, key, x):
        value, grads = nnx.value_and_grad(loss)(net, key, x)
        optimizer.update(net, grads)
        return value

    return net, optimizer, step


def recurrent():
    class MinimalGatedUnit(nnx.Module):
        def __init__(self, inputs, size, rngs):
            self.gate = nnx.Linear(size + inputs, size, rngs=rngs)
            self.candidate = nnx.Linear(size + inputs, size, rngs=rngs)

        def __call__(self, h, x):
            z = jax.nn.sigmoid(self.gate(jnp.concatenate([h, x], -1)))
            return (1 - z) * h + z * jnp.tanh(self.candidate(jnp.concatenate([z * h, x], -1)))

    class Classifier(nnx.Module):
        def __init__(self, rngs):
            self.cell = MinimalGatedUnit(1, 16, rngs)
            self.head = nnx.Linear(16, 2, rngs=rngs)

        def __call__(self, xs):
            h = jnp.zeros((xs.shape[0], self.cell.gate.out_features))
            h, _ = jax.lax.scan(lambda h, x: (self.cell(h, x), None), h, jnp.swapaxes(xs, 0, 1))
            return self.head(h)

    net = Classifier(nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)

    def loss(net, xs, y):
        return optax.losses.softmax_cross_entropy_with_integer_labels(net(xs), y).mean()

    @nnx.jit
    def step(net, optimizer, xs, y):
        value, grads = nnx.value_and_grad(loss)(net, xs, y)
        optimizer.update(net, grads)
        return value

    return net, optimizer, step


def gan():
    rngs = nnx.Rngs(0)
    generator = nnx.Sequential(nnx.Linear(4, 32, rngs=rngs), jax.nn.relu, nnx.Linear(32, 2, rngs=rngs))
    critic = nnx.Sequential(nnx.Linear(2, 32, rngs=rngs), jax.nn.relu, nnx.Linear(32, 1, rngs=rngs))
    g_opt, c_opt = (nnx.Optimizer(net, optax.adam(2e-3, b1=0.5), wrt=nnx.Param) for net in (generator, critic))

    def critic_loss(c, g, z, x):
        return jnp.mean(jax.nn.softplus(-c(x)) + jax.nn.softplus(c(g(z))))

    def generator_loss(g, c, z):
        return jnp.mean(jax.nn.softplus(-c(g(z))))

    @nnx.jit
    def step(g, c, g_opt, c_opt, z, x):
        c_opt.update(c, nnx.grad(critic_loss)(c, g, z, x))
        g_opt.update(g, nnx.grad(generator_loss)(g, c, z))

    return generator, critic, g_opt, c_opt, step


def a2c(reset, advance):
    class ActorCritic(nnx.Module):
        def __init__(self, rngs):
            self.torso = nnx.Linear(4, 64, rngs=rngs)
            self.actor = nnx.Linear(64, 2, rngs=rngs)
            self.critic = nnx.Linear(64, 1, rngs=rngs)

        def __call__(self, x):
            h = jnp.tanh(self.torso(x))
            return self.actor(h), self.critic(h)[..., 0]

    CARTS, STEPS, UPDATES = 32, 16, 300

    def update(carry, key):
        net, optimizer, carts = carry

        def act(carts, key):
            keys = jax.random.split(key, CARTS + 1)
            logits, _ = net(carts)
            actions = jax.random.categorical(keys[0], logits)
            after, fallen = jax.vmap(advance)(carts, actions, keys[1:])
            return after, (carts, actions, fallen)

        carts, (seen, actions, fallen) = jax.lax.scan(act, carts, jax.random.split(key, STEPS))

        def back(future, fallen):
            future = jnp.where(fallen, -1.0, 0.99 * future)
            return future, future

        _, last = net(carts)
        _, returns = jax.lax.scan(back, last, fallen, reverse=True)

        def loss(net):
            logits, values = net(seen)
            advantage = returns - values
            chosen = -optax.losses.softmax_cross_entropy_with_integer_labels(logits, actions)
            return jnp.mean(advantage**2 - chosen * jax.lax.stop_gradient(advantage))

        optimizer.update(net, nnx.grad(loss)(net))
        return (net, optimizer, carts), fallen.mean()

    @nnx.jit
    def train(key):
        net = ActorCritic(nnx.Rngs(key))
        carts = jax.vmap(reset)(jax.random.split(key, CARTS))
        carry = net, nnx.Optimizer(net, optax.adam(3e-3), wrt=nnx.Param), carts
        return nnx.scan(update, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))(carry, jax.random.split(key, UPDATES))

    return ActorCritic, update, train
