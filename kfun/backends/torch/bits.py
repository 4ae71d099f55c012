"""Bits and whole numbers on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.common.promotion import promoting
from kfun.backends.torch.arrays import FLOATING, cast, native, of_integers


def view(x, dtype=None):
    return x if dtype is None else x.contiguous().view(native(dtype))


RULES = {
    **{f"bitwise_{name}": of_integers(getattr(torch, f"bitwise_{name}")) for name in ("and", "or", "xor")},
    "bitwise_not": torch.bitwise_not,
    "bitwise_left_shift": of_integers(torch.bitwise_left_shift),
    "bitwise_right_shift": of_integers(torch.bitwise_right_shift),
    "gcd": of_integers(torch.gcd),
    "lcm": of_integers(torch.lcm),
    "nextafter": promoting(torch.nextafter, FLOATING, cast),
    "view": view,
}
