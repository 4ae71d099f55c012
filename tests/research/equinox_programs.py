"""The programs of the guide for researchers, as short as they are written in Equinox.

Each function holds one program: model, init and training step. Its last statement gives what the tests need, and is
not counted.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax


def ensemble():
    adam = optax.adam(1e-2)

    @eqx.filter_vmap
    def init(key):
        net = eqx.nn.MLP(2, 2, 32, 1, jnp.tanh, key=key)
        return net, adam.init(eqx.filter(net, eqx.is_array))

    def loss(net, x, y):
        return optax.losses.softmax_cross_entropy_with_integer_labels(jax.vmap(net)(x), y).mean()

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(eqx.if_array(0), eqx.if_array(0), None, None))
    def train(net, opt, x, y):
        value, grads = eqx.filter_value_and_grad(loss)(net, x, y)
        updates, opt = adam.update(grads, opt)
        return eqx.apply_updates(net, updates), opt, value

    nets, opts = init(jax.random.split(jax.random.key(0), 16))
    return nets, opts, train


def maml():
    net = eqx.nn.MLP(1, 1, 32, 1, jnp.tanh, key=jax.random.key(0))
    adam = optax.adam(1e-2)

    def loss(net, x, y):
        return jnp.mean((jax.vmap(net)(x) - y) ** 2)

    def adapt(net, x, y):
        for _ in range(2):
            grads = eqx.filter_grad(loss)(net, x, y)
            net = eqx.apply_updates(net, jax.tree.map(lambda g: -0.1 * g, grads))
        return net

    def meta_loss(net, support, query):
        return jax.vmap(lambda s, q: loss(adapt(net, *s), *q))(support, query).mean()

    @eqx.filter_jit
    def step(net, opt, support, query):
        value, grads = eqx.filter_value_and_grad(meta_loss)(net, support, query)
        updates, opt = adam.update(grads, opt)
        return eqx.apply_updates(net, updates), opt, value

    opt = adam.init(eqx.filter(net, eqx.is_array))
    return net, opt, step


def dpsgd():
    net = eqx.nn.MLP(2, 2, 32, 1, jnp.tanh, key=jax.random.key(0))
    sgd = optax.sgd(0.5)
    CLIP = 1.0

    def loss(net, x, y):
        return optax.losses.softmax_cross_entropy_with_integer_labels(net(x), y)

    @eqx.filter_jit
    def step(net, opt, key, noise, x, y):
        grads = eqx.filter_vmap(eqx.filter_grad(loss), in_axes=(None, 0, 0))(net, x, y)
        scale = jnp.minimum(1, CLIP / jax.vmap(optax.tree.norm)(grads))
        total = jax.tree.map(lambda g: jnp.tensordot(scale, g, 1), grads)
        normal = optax.tree.random_like(key, total)
        grads = jax.tree.map(lambda g, z: (g + CLIP * noise * z) / len(x), total, normal)
        updates, opt = sgd.update(grads, opt)
        return eqx.apply_updates(net, updates), opt

    opt = sgd.init(eqx.filter(net, eqx.is_array))
    return net, opt, step


def transformer():
    V, T, D, HEADS, DEPTH = 16, 24, 32, 4, 3

    class Attend(eqx.Module):
        norm: eqx.nn.LayerNorm
        attention: eqx.nn.MultiheadAttention
        norm2: eqx.nn.LayerNorm
        expand: eqx.nn.Linear
        contract: eqx.nn.Linear

        def __init__(self, key):
            keys = jax.random.split(key, 3)
            self.norm = eqx.nn.LayerNorm(D)
            self.attention = eqx.nn.MultiheadAttention(HEADS, D, key=keys[0])
            self.norm2 = eqx.nn.LayerNorm(D)
            self.expand = eqx.nn.Linear(D, 4 * D, key=keys[1])
            self.contract = eqx.nn.Linear(4 * D, D, key=keys[2])

        def __call__(self, x):
            h = jax.vmap(self.norm)(x)
            x = x + self.attention(h, h, h, mask=jnp.tril(jnp.ones((len(x), len(x)), bool)))
            h = jax.nn.relu(jax.vmap(self.expand)(jax.vmap(self.norm2)(x)))
            return x + jax.vmap(self.contract)(h)

    class LanguageModel(eqx.Module):
        embed: eqx.nn.Embedding
        positions: jax.Array
        blocks: Attend
        norm: eqx.nn.LayerNorm

        def __init__(self, key):
            keys = jax.random.split(key, 3)
            self.embed = eqx.nn.Embedding(V, D, key=keys[0])
            self.positions = 0.05 * jax.random.normal(keys[1], (T, D))
            self.blocks = eqx.filter_vmap(Attend)(jax.random.split(keys[2], DEPTH))
            self.norm = eqx.nn.LayerNorm(D)

        def __call__(self, tokens):
            x = jax.vmap(self.embed)(tokens) + self.positions[: len(tokens)]
            arrays, static = eqx.partition(self.blocks, eqx.is_array)
            run = jax.checkpoint(lambda x, block: (eqx.combine(block, static)(x), None))
            x, _ = jax.lax.scan(run, x, arrays)
            return jax.vmap(self.norm)(x) @ self.embed.weight.T

    net = LanguageModel(jax.random.key(0))
    adam = optax.adam(1e-2)

    def loss(net, tokens):
        logits = jax.vmap(net)(tokens[:, :-1])
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    @eqx.filter_jit
    def step(net, opt, tokens):
        value, grads = eqx.filter_value_and_grad(loss)(net, tokens)
        updates, opt = adam.update(grads, opt)
        return eqx.apply_updates(net, updates), opt, value

    opt = adam.init(eqx.filter(net, eqx.is_array))
    return net, opt, step


def vae():
    class VAE(eqx.Module):
        encoder: eqx.nn.MLP
        decoder: eqx.nn.MLP

        def __init__(self, key):
            keys = jax.random.split(key)
            self.encoder = eqx.nn.MLP(8, 2 * 2, 32, 1, jnp.tanh, key=keys[0])
            self.decoder = eqx.nn.MLP(2, 8, 32, 1, jnp.tanh, key=keys[1])

        def encode(self, x):
            return jnp.split(self.encoder(x), 2, -1)

        def decode(self, z):
            return self.decoder(z)

        def __call__(self, x, key):
            mean, log_std = self.encode(x)
            z = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
            return self.decode(z), mean, log_std

    net = VAE(jax.random.key(0))
    adam = optax.adam(1e-2)

    def loss(net, key, x):
        y, mean, log_std = jax.vmap(net)(x, jax.random.split(key, len(x)))
        kl = 0.5 * (mean**2 + jnp.exp(2 * log_std) - 1) - log_std
        return jnp.mean(jnp.sum((x - y) ** 2, -1) + 0.1 * jnp.sum(kl, -1))

    @eqx.filter_jit
    def step(net, opt, key, x):
        value, grads = eqx.filter_value_and_grad(loss)(net, key, x)
        updates, opt = adam.update(grads, opt)
        return eqx.apply_updates(net, updates), opt, value

    opt = adam.init(eqx.filter(net, eqx.is_array))
    return net, opt, step


def recurrent():
    class MinimalGatedUnit(eqx.Module):
        gate: eqx.nn.Linear
        candidate: eqx.nn.Linear

        def __init__(self, inputs, size, key):
            keys = jax.random.split(key)
            self.gate = eqx.nn.Linear(size + inputs, size, key=keys[0])
            self.candidate = eqx.nn.Linear(size + inputs, size, key=keys[1])

        def __call__(self, h, x):
            z = jax.nn.sigmoid(self.gate(jnp.concatenate([h, x])))
            return (1 - z) * h + z * jnp.tanh(self.candidate(jnp.concatenate([z * h, x])))

    class Classifier(eqx.Module):
        cell: MinimalGatedUnit
        head: eqx.nn.Linear

        def __init__(self, key):
            keys = jax.random.split(key)
            self.cell = MinimalGatedUnit(1, 16, keys[0])
            self.head = eqx.nn.Linear(16, 2, key=keys[1])

        def __call__(self, xs):
            h = jnp.zeros(self.cell.gate.out_features)
            h, _ = jax.lax.scan(lambda h, x: (self.cell(h, x), None), h, xs)
            return self.head(h)

    net = Classifier(jax.random.key(0))
    adam = optax.adam(1e-2)

    def loss(net, xs, y):
        return optax.losses.softmax_cross_entropy_with_integer_labels(jax.vmap(net)(xs), y).mean()

    @eqx.filter_jit
    def step(net, opt, xs, y):
        value, grads = eqx.filter_value_and_grad(loss)(net, xs, y)
        updates, opt = adam.update(grads, opt)
        return eqx.apply_updates(net, updates), opt, value

    opt = adam.init(eqx.filter(net, eqx.is_array))
    return net, opt, step


def gan():
    generator = eqx.nn.MLP(4, 2, 32, 1, key=jax.random.key(0))
    critic = eqx.nn.MLP(2, 1, 32, 1, key=jax.random.key(1))
    adam = optax.adam(2e-3, b1=0.5)

    def critic_loss(c, g, z, x):
        return jnp.mean(jax.nn.softplus(-jax.vmap(c)(x)) + jax.nn.softplus(jax.vmap(c)(jax.vmap(g)(z))))

    def generator_loss(g, c, z):
        return jnp.mean(jax.nn.softplus(-jax.vmap(c)(jax.vmap(g)(z))))

    @eqx.filter_jit
    def step(g, c, g_opt, c_opt, z, x):
        updates, c_opt = adam.update(eqx.filter_grad(critic_loss)(c, g, z, x), c_opt)
        c = eqx.apply_updates(c, updates)
        updates, g_opt = adam.update(eqx.filter_grad(generator_loss)(g, c, z), g_opt)
        return eqx.apply_updates(g, updates), c, g_opt, c_opt

    g_opt, c_opt = (adam.init(eqx.filter(net, eqx.is_array)) for net in (generator, critic))
    return generator, critic, g_opt, c_opt, step


def a2c(reset, advance):
    class ActorCritic(eqx.Module):
        torso: eqx.nn.Linear
        actor: eqx.nn.Linear
        critic: eqx.nn.Linear

        def __init__(self, key):
            keys = jax.random.split(key, 3)
            self.torso = eqx.nn.Linear(4, 64, key=keys[0])
            self.actor = eqx.nn.Linear(64, 2, key=keys[1])
            self.critic = eqx.nn.Linear(64, "scalar", key=keys[2])

        def __call__(self, x):
            h = jnp.tanh(self.torso(x))
            return self.actor(h), self.critic(h)

    adam = optax.adam(3e-3)
    CARTS, STEPS, UPDATES = 32, 16, 300

    def update(carry, key):
        net, opt, carts = carry

        def act(carts, key):
            keys = jax.random.split(key, CARTS + 1)
            logits, _ = jax.vmap(net)(carts)
            actions = jax.random.categorical(keys[0], logits)
            after, fallen = jax.vmap(advance)(carts, actions, keys[1:])
            return after, (carts, actions, fallen)

        carts, (seen, actions, fallen) = jax.lax.scan(act, carts, jax.random.split(key, STEPS))

        def back(future, fallen):
            future = jnp.where(fallen, -1.0, 0.99 * future)
            return future, future

        _, last = jax.vmap(net)(carts)
        _, returns = jax.lax.scan(back, last, fallen, reverse=True)

        def loss(net):
            logits, values = jax.vmap(jax.vmap(net))(seen)
            advantage = returns - values
            chosen = -optax.losses.softmax_cross_entropy_with_integer_labels(logits, actions)
            return jnp.mean(advantage**2 - chosen * jax.lax.stop_gradient(advantage))

        updates, opt = adam.update(jax.grad(loss)(net), opt)
        return (optax.apply_updates(net, updates), opt, carts), fallen.mean()

    @jax.jit
    def train(key):
        net = ActorCritic(key)
        carts = jax.vmap(reset)(jax.random.split(key, CARTS))
        return jax.lax.scan(update, (net, adam.init(net), carts), jax.random.split(key, UPDATES))

    return ActorCritic, adam, update, train
