"""Fourier transforms on JAX."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax


def _pair(f):
    """Of transforms from complex numbers to complex numbers."""

    def rule(x):
        out = f(_complex(x))
        return out.real, out.imag

    return rule


def _complex(x):
    real, imag = x
    dtype = jnp.result_type(real, imag, jnp.float32)
    return lax.complex(real.astype(dtype), imag.astype(dtype))


def rfft(x, fft_length=None):
    out = jnp.fft.rfft(x.astype(jnp.result_type(x, jnp.float32)), fft_length)
    return out.real, out.imag


RULES = {
    "fft": _pair(jnp.fft.fft),
    "ifft": _pair(jnp.fft.ifft),
    "fft2": _pair(jnp.fft.fft2),
    "ifft2": _pair(jnp.fft.ifft2),
    "rfft": rfft,
    "irfft": lambda x, fft_length=None: jnp.fft.irfft(_complex(x), fft_length),
}
