"""Counter-based random numbers on PyTorch: JAX's own generator, compiled and called by DLPack.

Each draw is one custom operator, so that compilers and `vmap` see it as a whole: threefry in
tensor code is 20 to 200 times slower, and compilers do not get through it.
"""

from __future__ import annotations

import functools

import torch

from kfun.backends._torch_array import cast, native


@functools.lru_cache(maxsize=512)
def _compiled(method: str, batch: int, shape: tuple[int, ...], dtype: str):
    """`(key [B..., 2], *operands) -> draws [B..., *shape]`, jitted, for `batch` leading axes."""
    import jax  # a need of kfun, but not of PyTorch code that draws nothing

    function = _METHODS[method](jax, shape, dtype)
    for _ in range(batch):
        function = jax.vmap(function)
    return jax.jit(function)


_METHODS = {
    "split": lambda jax, shape, dtype: lambda key: jax.random.split(key, shape[0]),
    "fold_in": lambda jax, shape, dtype: jax.random.fold_in,
    "bits": lambda jax, shape, dtype: lambda key: jax.random.bits(key, shape, dtype),
    "uniform": lambda jax, shape, dtype: lambda key, low, high: jax.random.uniform(key, shape, dtype, low, high),
    "normal": lambda jax, shape, dtype: lambda key: jax.random.normal(key, shape, dtype),
    "truncated_normal": lambda jax, shape, dtype: (
        lambda key, low, high: jax.random.truncated_normal(key, low, high, shape, dtype)
    ),
    "randint": lambda jax, shape, dtype: lambda key, low, high: jax.random.randint(key, shape, low, high, dtype),
    "permutation": lambda jax, shape, dtype: lambda key: jax.random.permutation(key, shape[0]).astype(dtype),
}


@torch.library.custom_op("kfun::draw", mutates_args=())
def draw(key: torch.Tensor, operands: list[torch.Tensor], method: str, shape: list[int], dtype: str) -> torch.Tensor:
    """Draws of one method: key `[B..., 2]` uint32, operands `[B...]`, result `[B..., *shape]`."""
    import jax

    given = [jax.dlpack.from_dlpack(x.detach().cpu().contiguous()) for x in (key, *operands)]
    drawn = _compiled(method, key.ndim - 1, tuple(shape), dtype)(*given)
    return torch.from_dlpack(drawn).to(key.device)


@draw.register_fake
def _(key, operands, method, shape, dtype):
    return key.new_empty((*key.shape[:-1], *shape), dtype=native(dtype))


@draw.register_vmap
def _(info, in_dims, key, operands, method, shape, dtype):
    size, ndim = info.batch_size, key.ndim - (in_dims[0] is not None)
    lead = key.movedim(in_dims[0], 0) if in_dims[0] is not None else key.expand(size, *key.shape)
    batched = []
    for x, dim in zip(operands, in_dims[1], strict=True):
        x = x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
        batched.append(x.reshape(*x.shape, *(1,) * (ndim - x.ndim)).expand(lead.shape[:-1]))
    return draw(lead, batched, method, shape, dtype), 0


def _checked(key):
    if key.dtype is not torch.uint32 or key.ndim != 1:
        raise TypeError(
            f"expected one key, uint32 of shape (2,); received {key.dtype} of shape {tuple(key.shape)}. "
            "Make one with kfun.random.key; map over several with vmap."
        )
    return key


def _draw(method, key, operands, shape, dtype):
    shape = [shape] if isinstance(shape, int) else [int(s) for s in shape]
    return draw(_checked(key), [x.to(key.device) for x in operands], method, shape, dtype)


def fold_in(key, data):
    data = data.to(torch.int64) if isinstance(data, torch.Tensor) else torch.tensor(int(data))
    return _draw("fold_in", key, [(data & 0xFFFFFFFF).to(torch.uint32)], (2,), "uint32")


def _floats(method, key, shape, dtype, *bounds):
    """float64 takes the digits of float32, as on JAX without x64."""
    target = native(dtype)
    drawn = "float32" if target is torch.float64 else str(target).removeprefix("torch.")
    return _draw(method, key, [cast(b, torch.float32) for b in bounds], shape, drawn).to(target)


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
    target = native(dtype)
    drawn = {torch.int64: "int32", torch.uint64: "uint32"}.get(target, str(target).removeprefix("torch."))
    return _draw("randint", key, [cast(b, torch.int32) for b in (minval, maxval)], shape, drawn).to(target)


RULES = {
    "random_split": lambda key, num=2: _draw("split", key, [], (num, 2), "uint32"),
    "random_fold_in": fold_in,
    "random_bits": lambda key, shape=(): _draw("bits", key, [], shape, "uint32"),
    "random_uniform": uniform,
    "random_normal": normal,
    "random_truncated_normal": truncated_normal,
    "random_randint": randint,
    "random_permutation": lambda key, n: _draw("permutation", key, [], (n,), "int32"),
}
