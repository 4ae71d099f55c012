"""Products on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import same_type, widen


def _product(f, operands):
    operands = same_type(*operands)
    dtype = operands[0].dtype
    if dtype is torch.bool:
        return f([x.to(torch.int32) for x in operands]) != 0
    if dtype in (torch.uint16, torch.uint32):
        return f([widen(x) for x in operands]).to(dtype)
    return f(operands)


def matmul(x1, x2):
    if x1.dtype is x2.dtype and x1.dtype.is_floating_point:
        return torch.matmul(x1, x2)
    return _product(lambda xs: torch.matmul(*xs), (x1, x2))


def einsum(subscripts, *operands):
    return _product(lambda xs: torch.einsum(subscripts, *xs), operands)


RULES = {
    "matmul": matmul,
    "einsum": einsum,
}
