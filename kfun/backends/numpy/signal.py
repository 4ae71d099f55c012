"""Fourier transforms on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.numpy.arrays import HALF, floating, same_type


def _pair(f):
    """Of transforms from complex numbers to complex numbers."""

    def rule(x):
        z = f(_complex(x))
        return z.real, z.imag

    return rule


def _complex(x):
    real, imag = (floating(part) for part in same_type(*x))
    return real + np.asarray(1j, np.result_type(real.dtype, np.complex64)) * imag


def rfft(x, fft_length=None):
    x = floating(x)
    z = np.fft.rfft(x.astype(np.float32) if x.dtype in HALF else x, fft_length)
    return z.real, z.imag


RULES = {
    "fft": _pair(np.fft.fft),
    "rfft": rfft,
    "irfft": lambda x, fft_length=None: np.fft.irfft(_complex(x), fft_length),
}
