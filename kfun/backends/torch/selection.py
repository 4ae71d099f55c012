"""Selection by values on PyTorch."""

from __future__ import annotations

import torch

RULES = {
    "nonzero": lambda x: tuple(i.to(torch.int32) for i in torch.nonzero(x, as_tuple=True)),
}
