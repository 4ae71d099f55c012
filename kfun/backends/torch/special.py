"""Special functions on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import of_floats

_MATH = "tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh exp2 log2 log10 erfc lgamma digamma i0"

RULES = {
    **{name: of_floats(getattr(torch, name)) for name in _MATH.split(" ")},
}
