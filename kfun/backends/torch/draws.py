"""Counter-based draws on PyTorch: JAX's own generator, compiled, on shared memory.

Each draw is one custom operator, so that compilers and `vmap` see it as a whole: threefry in
tensor code is 20 to 200 times slower, and compilers do not get through it.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from kfun.backends.torch.arrays import native


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


@functools.lru_cache(maxsize=512)
def _compiled_by(method, batch, shape, dtype):
    """`(key [B..., 2], first [B..., *shape], second) -> draws [B..., *shape]`, jitted, for `batch` leading axes."""
    import jax  # a need of kfun, but not of PyTorch code that draws nothing

    def function(key, first, second):
        if method == "split_each":
            return jax.vmap(lambda k: jax.random.split(k, shape[1]))(key)
        if method == "gamma":
            return jax.random.gamma(key, first, shape, dtype)
        return getattr(jax.random, method)(key, first, second, shape, dtype)

    for _ in range(batch):
        function = jax.vmap(function)
    return jax.jit(function)


@torch.library.custom_op("kfun::draw_by", mutates_args=())
def draw_by(
    key: torch.Tensor, first: torch.Tensor, second: torch.Tensor, method: str, batch: int, shape: list[int], dtype: str
) -> torch.Tensor:
    """Draws with parameters that are arrays: key `[B..., 2]` uint32, parameters `[B..., *shape]`."""
    import jax

    with jax.enable_x64(True):
        run = _compiled_by(method, batch, tuple(shape), dtype)
        return torch.from_dlpack(run(*(x.detach().cpu().numpy() for x in (key, first, second)))).to(key.device)


@draw_by.register_fake
def _(key, first, second, method, batch, shape, dtype):
    return key.new_empty((*key.shape[:batch], *shape), dtype=native(dtype))


@draw_by.register_vmap
def _(info, in_dims, key, first, second, method, batch, shape, dtype):
    def lead(x, dim):
        return x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)

    arrays = [lead(x, dim) for x, dim in zip((key, first, second), in_dims, strict=False)]
    return draw_by(*arrays, method, batch + 1, shape, dtype), 0
