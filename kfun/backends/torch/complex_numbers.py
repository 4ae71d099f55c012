"""Complex numbers on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.common.promotion import promoting
from kfun.backends.torch.arrays import FLOATING, cast


def _complex(real, imag):
    if real.dtype in (torch.float16, torch.bfloat16):
        real, imag = real.to(torch.float32), imag.to(torch.float32)
    return torch.complex(*torch.broadcast_tensors(real, imag))


RULES = {
    "complex": promoting(_complex, FLOATING, cast),
    "real": lambda x: x.real if x.dtype.is_complex else x,
    "imag": lambda x: x.imag if x.dtype.is_complex else torch.zeros_like(x),
}
