"""The PyTorch adapter: its rules by family, and the transformations of `torch.func`."""

from __future__ import annotations

import contextlib

import torch

from kfun.backends import (
    _torch_array,
    _torch_control,
    _torch_elementwise,
    _torch_functional,
    _torch_matrix,
    _torch_nn,
    _torch_numeric,
    _torch_random,
    _torch_reduction,
    _torch_select,
    _torch_shaping,
)
from kfun.backends._torch_array import ACCELERATED
from kfun.backends._torch_transforms import TRANSFORMS
from kfun.backends._tree import leaves
from kfun.ops._kinds import Kind, register

RULES = {
    **_torch_numeric.RULES,
    **_torch_select.RULES,
    **_torch_matrix.RULES,
    **_torch_functional.RULES,
    **_torch_array.RULES,
    **_torch_elementwise.RULES,
    **_torch_reduction.RULES,
    **_torch_shaping.RULES,
    **_torch_nn.RULES,
    **_torch_control.RULES,
    **_torch_random.RULES,
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
        _torch_array.convert,
        transforms=TRANSFORMS | _torch_functional.TRANSFORMS,
        place=_place if ACCELERATED else None,
    )
)
