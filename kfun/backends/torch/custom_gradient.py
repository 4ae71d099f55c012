"""Functions with gradients of their own on PyTorch."""

from __future__ import annotations

import functools

import torch

from kfun.backends.common.tree import fill, leaves, tree_map
from kfun.backends.torch.arrays import convert


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
