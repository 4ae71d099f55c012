"""A small causal transformer on real text: it reads Python's own documentation and writes some.

    python examples/char_transformer.py

The text is that of Python's `help()` topics, letter by letter. The blocks are one `Stack`, compiled
once whatever the depth; training runs in compiled scans, and so does the generation. What it
learned is measured on text that it has not seen, beside a table of letter pairs.
"""

import pydoc_data.topics
import time

import jax
import jax.numpy as jnp
import numpy as np

import kfun
from kfun import layers, ops, optim

CONTEXT, WIDTH, HEADS, DEPTH = 64, 64, 4, 2
STEPS, BATCH, CHUNK = 800, 16, 200


class Decoder(kfun.Block):
    """A transformer's block, normalized before each part."""

    attention_norm: layers.LayerNormalization
    attention: layers.MultiHeadAttention
    norm: layers.LayerNormalization
    inner: layers.Dense
    outer: layers.Dense

    def forward(self, f, x):
        h = f.attention_norm(x)
        x = x + f.attention(h, h, use_causal_mask=True)
        return x + f.outer(f.inner(f.norm(x)))


class LanguageModel(kfun.Block):
    """Logits of the next letter at each place: `[B, T]` to `[B, T, V]`."""

    letters: layers.Embedding
    blocks: kfun.Stack
    norm: layers.LayerNormalization
    head: layers.Dense

    def forward(self, f, tokens):
        places = f.param("places", (CONTEXT, WIDTH), "random_normal")
        return f.head(f.norm(f.blocks(f.letters(tokens) + places[: tokens.shape[1]])))


def load() -> tuple[np.ndarray, np.ndarray, str]:
    """The letters of the text by number, train and test, and the alphabet."""
    topics = pydoc_data.topics.topics
    text = " ".join(" ".join(topics[name] for name in sorted(topics)).split())
    text = "".join(c if c.isascii() else "?" for c in text)
    alphabet = "".join(sorted(set(text)))
    numbers = np.searchsorted(np.array(list(alphabet)), np.array(list(text))).astype("int32")
    cut = int(0.9 * len(numbers))
    return numbers[:cut], numbers[cut:], alphabet


def make_net(size: int) -> LanguageModel:
    """The model for an alphabet of some size."""
    block = Decoder(
        layers.LayerNormalization(),
        layers.MultiHeadAttention(HEADS, WIDTH // HEADS),
        layers.LayerNormalization(),
        layers.Dense(4 * WIDTH, "gelu"),
        layers.Dense(WIDTH),
    )
    return LanguageModel(
        layers.Embedding(size, WIDTH), kfun.Stack(block, DEPTH), layers.LayerNormalization(), layers.Dense(size)
    )


def windows(text: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """`CONTEXT` letters and the one after, from each start."""
    return text[starts[..., None] + np.arange(CONTEXT + 1)]


def pair_loss(train: np.ndarray, test: np.ndarray, size: int) -> float:
    """Nats a letter of a table of letter pairs."""
    counts = np.full((size, size), 0.1)
    np.add.at(counts, (train[:-1], train[1:]), 1)
    chances = counts / counts.sum(1, keepdims=True)
    return float(-np.log(chances[test[:-1], test[1:]]).mean())


def write(net, params, prompt: jax.Array, length: int, key: jax.Array) -> jax.Array:
    """`length` letters after a prompt `[CONTEXT]`, drawn one by one."""

    def step(window, key):
        logits = net.apply(params, {}, window[None])[0][0, -1]
        letter = jax.random.categorical(key, logits / 0.7).astype(window.dtype)
        return jnp.append(window[1:], letter), letter

    return jax.lax.scan(step, prompt, jax.random.split(key, length))[1]


def main() -> dict[str, float]:
    """Trains and writes; gives the numbers that it prints."""
    train, test, alphabet = load()
    net = make_net(len(alphabet))
    params, state = net.init(kfun.random.key(0), kfun.Spec((None, CONTEXT), "int32"))
    adam = optim.adamw(optim.schedules.CosineDecay(4e-3, STEPS), weight_decay=0.01, global_clipnorm=1.0)
    print(f"{len(train):,} letters of {len(alphabet)} kinds; {kfun.tree.count(params):,} params")

    def loss(params, batch):
        logits = net.apply(params, state, batch[:, :-1])[0]
        chosen = ops.take_along_axis(ops.log_softmax(logits), batch[:, 1:, None], -1)
        return -ops.mean(chosen)

    def step(carry, batch):
        params, opt = carry
        value, grads = kfun.value_and_grad(loss)(params, batch)
        updates, opt = adam.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    run = jax.jit(lambda carry, batches: jax.lax.scan(step, carry, batches), donate_argnums=0)
    generator, carry, begin = np.random.default_rng(0), (params, adam.init(params)), time.perf_counter()
    for done in range(CHUNK, STEPS + 1, CHUNK):
        starts = generator.integers(0, len(train) - CONTEXT, (CHUNK, BATCH))
        carry, values = run(carry, windows(train, starts))
        print(f"step {done}: {float(values[-20:].mean()):.3f} nats a letter, {time.perf_counter() - begin:.0f} s")
    params = carry[0]

    held_out = windows(test, np.arange(0, len(test) - CONTEXT, CONTEXT)[:512])
    numbers = {"loss": float(jax.jit(loss)(params, held_out)), "pairs": pair_loss(train, test, len(alphabet))}
    print(f"on text that it has not seen: {numbers['loss']:.3f} nats a letter; a table of pairs {numbers['pairs']:.3f}")
    prompt = held_out[0, :CONTEXT]
    new = jax.jit(write, static_argnums=(0, 3))(net, params, jnp.asarray(prompt), 200, kfun.random.key(1))
    told = ["".join(alphabet[i] for i in np.asarray(letters)) for letters in (prompt, new)]
    numbers["written"] = len(told[1])
    print(f"after {told[0]!r} it writes:\n{told[1]}")
    return numbers


if __name__ == "__main__":
    main()
