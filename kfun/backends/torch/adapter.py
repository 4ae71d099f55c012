"""The PyTorch adapter: its rules by family, and the transformations of `torch.func`."""

from __future__ import annotations

import contextlib

import torch

from kfun.backends.common.tree import leaves
from kfun.backends.torch import (
    arrays,
    control,
    convolution,
    elementwise,
    functional,
    matrix,
    numeric,
    random,
    reduction,
    select,
    shaping,
)
from kfun.backends.torch.arrays import ACCELERATED
from kfun.backends.torch.transforms import TRANSFORMS
from kfun.ops._kinds import Kind, register

RULES = {
    **numeric.RULES,
    **select.RULES,
    **matrix.RULES,
    **functional.RULES,
    **arrays.RULES,
    **elementwise.RULES,
    **reduction.RULES,
    **shaping.RULES,
    **convolution.RULES,
    **control.RULES,
    **random.RULES,
}


def _place(args):
    """The device of the first tensor that is not on the CPU as PyTorch's default device."""
    for x in leaves(list(args)):
        if isinstance(x, torch.Tensor) and x.device.type != "cpu":
            return contextlib.nullcontext() if torch.get_default_device() == x.device else x.device
    return contextlib.nullcontext()


# Parameters are named for themselves, so that a compiler that traces a first call meets no search.
KIND = register(
    Kind(
        "torch",
        (torch.Tensor, torch.nn.Parameter),
        RULES,
        arrays.convert,
        transforms=TRANSFORMS | functional.TRANSFORMS,
        place=_place if ACCELERATED else None,
    )
)
