"""Counter-based random numbers on PyTorch: JAX's own generator, compiled, on shared memory.

Each draw is one custom operator, so that compilers and `vmap` see it as a whole: threefry in
tensor code is 20 to 200 times slower, and compilers do not get through it.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from kfun.backends.torch.arrays import NAMES, cast, native


@functools.lru_cache(maxsize=512)
def _compiled(method: str, batch: int, shape: tuple[int, ...], dtype: str):
    """`(key [B..., 2], data [B...] or None, *bounds) -> draws [B..., *shape]`, jitted, for `batch` leading axes."""
    import jax  # a need of kfun, but not of PyTorch code that draws nothing

    function = _METHODS[method](jax, shape, dtype)
    for _ in range(batch):
        function = jax.vmap(function, (0, 0, None, None))
    return jax.jit(function)


_METHODS = {
    "split": lambda jax, shape, dtype: lambda key, data, low, high: jax.random.split(key, shape[0]),
    "fold_in": lambda jax, shape, dtype: lambda key, data, low, high: jax.random.fold_in(key, data),
    "bits": lambda jax, shape, dtype: lambda key, data, low, high: jax.random.bits(key, shape, dtype),
    "uniform": lambda jax, shape, dtype: lambda key, data, low, high: jax.random.uniform(key, shape, dtype, low, high),
    "normal": lambda jax, shape, dtype: lambda key, data, low, high: jax.random.normal(key, shape, dtype),
    "truncated_normal": lambda jax, shape, dtype: (
        lambda key, data, low, high: jax.random.truncated_normal(key, low, high, shape, dtype)
    ),
    "randint": lambda jax, shape, dtype: lambda key, data, low, high: jax.random.randint(key, shape, low, high, dtype),
    "permutation": lambda jax, shape, dtype: (
        lambda key, data, low, high: jax.random.permutation(key, shape[0]).astype(dtype)
    ),
}


@torch.library.custom_op("kfun::draw", mutates_args=())
def draw(
    key: torch.Tensor,
    data: torch.Tensor,
    low: float,
    high: float,
    limits: list[int],
    method: str,
    shape: list[int],
    dtype: str,
) -> torch.Tensor:
    """Draws of one method: key `[B..., 2]` uint32, data `[B...]` uint32 to fold in, result `[B..., *shape]`.

    The bounds are `low` and `high` for floats, the two `limits` for integers.
    """
    import jax

    bounds = limits or [np.float64(b) if dtype == "float64" else np.float32(b) for b in (low, high)]
    with jax.enable_x64(True):  # 64 bits where they are asked for; the others stay as they are
        run = _compiled(method, key.ndim - 1, tuple(shape), dtype)
        return torch.from_dlpack(run(key.cpu().numpy(), data.cpu().numpy(), *bounds)).to(key.device)


@draw.register_fake
def _(key, data, low, high, limits, method, shape, dtype):
    return key.new_empty((*key.shape[:-1], *shape), dtype=native(dtype))


@draw.register_vmap
def _(info, in_dims, key, data, low, high, limits, method, shape, dtype):
    def lead(x, dim):
        return x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)

    return draw(lead(key, in_dims[0]), lead(data, in_dims[1]), low, high, limits, method, shape, dtype), 0


def checked_key(key):
    if key.dtype is not torch.uint32 or key.ndim != 1:
        raise TypeError(
            f"expected one key, uint32 of shape (2,); received {key.dtype} of shape {tuple(key.shape)}. "
            "Make one with kfun.random.key; map over several with vmap."
        )
    return key


def _draw(method, key, shape, dtype, low=0.0, high=1.0, data=None, limits=()):
    shape = [shape] if isinstance(shape, int) else [int(s) for s in shape]
    data = checked_key(key)[0] if data is None else data.to(key.device)
    return draw(key, data, low, high, list(limits), method, shape, dtype)


def fold_in(key, data):
    data = data.to(torch.int64) if isinstance(data, torch.Tensor) else torch.tensor(int(data))
    return _draw("fold_in", checked_key(key), (2,), "uint32", data=(data & 0xFFFFFFFF).to(torch.uint32))


def _floats(method, key, shape, dtype, low=0.0, high=1.0):
    return _draw(method, key, shape, NAMES[native(dtype)], float(low), float(high))


def uniform(key, shape=(), dtype="float32", minval=0.0, maxval=1.0):
    if not isinstance(minval, torch.Tensor) and not isinstance(maxval, torch.Tensor):
        return _floats("uniform", key, shape, dtype, minval, maxval)
    draws = _floats("uniform", key, shape, dtype, 0.0, 1.0)  # scaled here, for broadcasting and gradients
    low, high = cast(minval, draws.dtype), cast(maxval, draws.dtype)
    return torch.maximum(draws * (high - low) + low, low)


def normal(key, shape=(), dtype="float32"):
    return _floats("normal", key, shape, dtype)


def truncated_normal(key, shape=(), dtype="float32", lower=-2.0, upper=2.0):
    return _floats("truncated_normal", key, shape, dtype, lower, upper)


def randint(key, shape, minval, maxval, dtype="int32"):
    limits = [min(max(int(bound), -(2**63)), 2**63 - 1) for bound in (minval, maxval)]
    return _draw("randint", key, shape, NAMES[native(dtype)], limits=limits)


RULES = {
    "random_split": lambda key, num=2: _draw("split", key, (num, 2), "uint32"),
    "random_fold_in": fold_in,
    "random_bits": lambda key, shape=(): _draw("bits", key, shape, "uint32"),
    "random_uniform": uniform,
    "random_normal": normal,
    "random_truncated_normal": truncated_normal,
    "random_randint": randint,
    "random_permutation": lambda key, n: _draw("permutation", key, (n,), "int32"),
}
