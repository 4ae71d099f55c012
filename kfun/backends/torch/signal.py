"""Fourier transforms on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.torch.arrays import floating, same_type


def _pair(f):
    """Of transforms from complex numbers to complex numbers."""

    def rule(x):
        z = f(_complex(x))
        return z.real, z.imag

    return rule


def _complex(x):
    return torch.complex(*(_single(floating(part)) for part in same_type(*x)))


def _single(x):
    return x.to(torch.float32) if x.dtype.itemsize < 4 else x


def rfft(x, fft_length=None):
    z = torch.fft.rfft(_single(floating(x)), fft_length)
    return z.real, z.imag


RULES = {
    "fft": _pair(torch.fft.fft),
    "ifft": _pair(torch.fft.ifft),
    "fft2": _pair(torch.fft.fft2),
    "ifft2": _pair(torch.fft.ifft2),
    "rfft": rfft,
    "irfft": lambda x, fft_length=None: torch.fft.irfft(_complex(x), fft_length),
}
