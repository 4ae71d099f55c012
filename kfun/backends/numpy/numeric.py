"""Special functions, bits, complex numbers and diagonals in plain NumPy."""

from __future__ import annotations

import numpy as np
from scipy import special

from kfun.backends.numpy.elementwise import FLOATING, HALF, binary, native, wide


def _complex(real, imag):
    real, imag = (x.astype(np.float32) if x.dtype in HALF else x for x in (real, imag))
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag  # a sum with 1j would make NaN of infinities
    return out


def view(x, dtype=None):
    return x if dtype is None else np.ascontiguousarray(x).reshape(x.shape).view(native(dtype))


_MATH = "tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh cbrt exp2 log2 log10"
_SCIPY = {"erfc": special.erfc, "lgamma": special.gammaln, "digamma": special.digamma, "i0": special.i0}
_BITS = "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd lcm"

RULES = {
    **{name: wide(getattr(np, name)) for name in _MATH.split(" ")},
    **{name: wide(f) for name, f in _SCIPY.items()},
    **{name: binary(getattr(np, name)) for name in _BITS.split(" ")},
    **{name: binary(getattr(np, name)) for name in ("fmod", "fmax", "fmin")},
    "bitwise_not": np.bitwise_not,
    "nextafter": binary(np.nextafter, FLOATING),
    "view": view,
    "complex": binary(_complex, FLOATING),
    "real": lambda x: np.asarray(np.real(x)),
    "imag": lambda x: np.asarray(np.imag(x)),
    "conj": lambda x: np.asarray(np.conj(x)),
    "copy": np.copy,
}
