"""Diagonals on PyTorch."""

from __future__ import annotations

import torch

from kfun.ops._dispatch import OPS


def diag(x, k=0):
    return torch.diag(x, k) if x.ndim in (1, 2) else OPS["diag"].body(x, k)  # which says what is wrong


RULES = {
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: torch.diagonal(x, offset, axis1, axis2),
    "diag": diag,
}
