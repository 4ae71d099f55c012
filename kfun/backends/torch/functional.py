"""Functions with gradients of their own, adaptive pooling and random numbers by rejection on PyTorch."""

from __future__ import annotations

import functools

import torch
from torch.nn import functional as F

from kfun.backends.common.tree import fill, leaves, tree_map
from kfun.backends.common.windows import each
from kfun.backends.torch.arrays import NAMES, convert, floating, native
from kfun.backends.torch.random import checked_key

_AVERAGE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


def custom_gradient(f):
    @functools.wraps(f)
    def call(*args, **kwargs):
        run = _Pair(f, args, kwargs)
        out = _CustomGradient.apply(run, *run.values)
        return fill(run.outputs, iter(out))

    return call


class _Pair:
    """A function of flat tensors that gives `(output, grad)`."""

    def __init__(self, f, args, kwargs):
        self.f, self.kwargs, self.args = f, kwargs, tree_map(convert, list(args))
        self.values, self.outputs = leaves(self.args), None

    def __call__(self, values):
        output, grad = self.f(*fill(self.args, iter(values)), **self.kwargs)
        self.outputs = tree_map(convert, output)
        return tuple(leaves(self.outputs)), grad


class _CustomGradient(torch.autograd.Function):
    """Runs the function again in the backward pass: what its `grad` holds is then seen by derivatives of it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(run, *values):
        given = {id(v) for v in values}
        return tuple(o.view_as(o) if id(o) in given else o for o in run(values)[0])

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.run = inputs[0]
        ctx.save_for_backward(*inputs[1:])
        ctx.mark_non_differentiable(*[o for o in output if not o.dtype.is_floating_point])

    @staticmethod
    def backward(ctx, *cotangents):
        values = ctx.saved_tensors
        grad = ctx.run(values)[1]
        found = grad(fill(ctx.run.outputs, iter(cotangents)))
        flat: list = []  # the gradients of the leaves; None where there is none
        tree_map(lambda _, g: flat.append(g), tuple(ctx.run.args), tuple(found))
        pairs = zip(values, flat, strict=True)
        return (
            None,
            *(None if g is None or not v.dtype.is_floating_point else convert(g).to(v.dtype) for v, g in pairs),
        )


def _adaptive(pools):
    def rule(inputs, output_size, data_format=None):
        n, first = inputs.ndim - 2, data_format == "channels_first"
        x = inputs if first else inputs.movedim(-1, 1)
        x = floating(x) if pools is _AVERAGE or not x.dtype.is_floating_point else x
        out = pools[n](x, each(output_size, n))
        out = out if pools is _AVERAGE else out.to(inputs.dtype)
        return out if first else out.movedim(1, -1)

    return rule


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


def _drawn(method, key, parameters, shape, dtype):
    parameters = [convert(p).detach() for p in parameters]
    parameters = [p if p.dtype is torch.float64 else p.to(torch.float32) for p in parameters]
    if shape is None:
        shape = torch.broadcast_shapes(*(p.shape for p in parameters))
    shape = [shape] if isinstance(shape, int) else list(shape)
    first, second = (p.expand(shape) for p in (parameters[0], parameters[-1]))
    return draw_by(checked_key(key), first, second, method, 0, shape, NAMES[native(dtype)])


def split_each(keys, num=2):
    return draw_by(keys, keys, keys, "split_each", 0, [keys.shape[0], num, 2], "uint32")


RULES = {
    "adaptive_average_pool": _adaptive(_AVERAGE),
    "adaptive_max_pool": _adaptive(_MAX),
    "random_split_each": split_each,
    "random_gamma": lambda key, alpha, shape=None, dtype="float32": _drawn("gamma", key, [alpha], shape, dtype),
    "random_beta": lambda key, alpha, beta, shape=None, dtype="float32": _drawn(
        "beta", key, [alpha, beta], shape, dtype
    ),
    "random_binomial": lambda key, counts, probabilities, shape=None, dtype="float32": _drawn(
        "binomial", key, [counts, probabilities], shape, dtype
    ),
}
TRANSFORMS = {"custom_gradient": custom_gradient}
