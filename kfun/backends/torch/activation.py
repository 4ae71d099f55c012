"""Activation functions on PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from kfun.backends.torch.arrays import floating, of_floats
from kfun.backends.torch.elementwise import clip, maximum


def softplus(x):
    return torch.logaddexp(x, torch.zeros((), dtype=x.dtype, device=x.device))


def relu(x):
    return torch.relu(x) if x.dtype.is_floating_point else maximum(x, 0)


def gelu(x, approximate=True):
    return F.gelu(floating(x), approximate="tanh" if approximate else "none")


def softmax(x, axis=-1):
    x = floating(x)
    if isinstance(axis, int):
        return torch.softmax(x, axis)
    axes = tuple(axis)
    grown = torch.exp(x - torch.amax(x, axes, keepdim=True).detach())
    return grown / grown.sum(axes, keepdim=True)


def log_softmax(x, axis=-1):
    x = floating(x)
    if isinstance(axis, int):
        return torch.log_softmax(x, axis)
    return x - torch.logsumexp(x, tuple(axis), keepdim=True)


RULES = {
    "sigmoid": of_floats(torch.sigmoid),
    "relu": relu,
    "relu6": lambda x: clip(x, 0, 6),
    "softplus": of_floats(softplus),
    "silu": of_floats(F.silu),
    "mish": of_floats(F.mish),
    "log_sigmoid": of_floats(F.logsigmoid),
    "softsign": of_floats(F.softsign),
    "selu": of_floats(F.selu),
    "hard_sigmoid": of_floats(F.hardsigmoid),
    "hard_silu": of_floats(F.hardswish),
    "elu": lambda x, alpha=1.0: F.elu(floating(x), alpha),
    "celu": lambda x, alpha=1.0: F.celu(floating(x), alpha),
    "gelu": gelu,
    "softmax": softmax,
    "log_softmax": log_softmax,
}
