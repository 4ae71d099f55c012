"""Special functions, bits, complex numbers and diagonals on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.common.promotion import promoting
from kfun.backends.torch.arrays import FLOATING, cast, native, of_floats, of_integers
from kfun.ops._dispatch import OPS

_MATH = "tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh exp2 log2 log10 erfc lgamma digamma i0"


def _complex(real, imag):
    if real.dtype in (torch.float16, torch.bfloat16):
        real, imag = real.to(torch.float32), imag.to(torch.float32)
    return torch.complex(*torch.broadcast_tensors(real, imag))


def view(x, dtype=None):
    return x if dtype is None else x.contiguous().view(native(dtype))


def diag(x, k=0):
    return torch.diag(x, k) if x.ndim in (1, 2) else OPS["diag"].body(x, k)  # which says what is wrong


RULES = {
    **{name: of_floats(getattr(torch, name)) for name in _MATH.split(" ")},
    **{f"bitwise_{name}": of_integers(getattr(torch, f"bitwise_{name}")) for name in ("and", "or", "xor")},
    "bitwise_not": torch.bitwise_not,
    "bitwise_left_shift": of_integers(torch.bitwise_left_shift),
    "bitwise_right_shift": of_integers(torch.bitwise_right_shift),
    "gcd": of_integers(torch.gcd),
    "lcm": of_integers(torch.lcm),
    "fmod": of_integers(torch.fmod),
    "nextafter": promoting(torch.nextafter, FLOATING, cast),
    "signbit": torch.signbit,
    "view": view,
    "complex": promoting(_complex, FLOATING, cast),
    "real": lambda x: x.real if x.dtype.is_complex else x,
    "imag": lambda x: x.imag if x.dtype.is_complex else torch.zeros_like(x),
    "copy": torch.clone,
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: torch.diagonal(x, offset, axis1, axis2),
    "diag": diag,
}
