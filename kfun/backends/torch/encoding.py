"""Encodings of labels on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import native
from kfun.ops._like import refuse_sparse


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    refuse_sparse("one_hot", sparse)
    hot = x.unsqueeze(-1) == torch.arange(num_classes, device=x.device)
    return hot.movedim(-1, axis).to(native(dtype or "float32"))


RULES = {
    "one_hot": one_hot,
}
