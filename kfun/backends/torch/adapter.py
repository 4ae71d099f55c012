"""The PyTorch adapter: its rules by family, and the transformations of `torch.func`."""

from __future__ import annotations

import contextlib

import torch

from kfun.backends.common.tree import leaves
from kfun.backends.torch import (
    activation,
    arrangement,
    attention,
    bits,
    complex_numbers,
    control,
    convolution,
    creation,
    elementwise,
    encoding,
    image,
    linalg,
    normalization,
    products,
    random_basis,
    random_rejection,
    reduction,
    scattering,
    selection,
    shaping,
    signal,
    special,
)
from kfun.backends.torch.arrays import ACCELERATED, convert
from kfun.backends.torch.custom_gradient import custom_gradient
from kfun.backends.torch.transforms import TRANSFORMS
from kfun.ops._kinds import Kind, register


def _place(args):
    """The device of the first tensor that is not on the CPU as PyTorch's default device."""
    for x in leaves(list(args)):
        if isinstance(x, torch.Tensor) and x.device.type != "cpu":
            return contextlib.nullcontext() if torch.get_default_device() == x.device else x.device
    return contextlib.nullcontext()


RULES = {
    **activation.RULES,
    **arrangement.RULES,
    **attention.RULES,
    **bits.RULES,
    **complex_numbers.RULES,
    **control.RULES,
    **convolution.RULES,
    **creation.RULES,
    **elementwise.RULES,
    **encoding.RULES,
    **image.RULES,
    **linalg.RULES,
    **normalization.RULES,
    **products.RULES,
    **random_basis.RULES,
    **random_rejection.RULES,
    **reduction.RULES,
    **scattering.RULES,
    **selection.RULES,
    **shaping.RULES,
    **signal.RULES,
    **special.RULES,
}

# Parameters are named for themselves, so that a compiler that traces a first call meets no search.
KIND = register(
    Kind(
        "torch",
        (torch.Tensor, torch.nn.Parameter),
        RULES,
        convert,
        transforms=TRANSFORMS | {"custom_gradient": custom_gradient},
        place=_place if ACCELERATED else None,
    )
)
