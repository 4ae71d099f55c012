"""Complex numbers on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.numpy.arrays import FLOATING, HALF, binary


def _complex(real, imag):
    real, imag = (x.astype(np.float32) if x.dtype in HALF else x for x in (real, imag))
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag  # a sum with 1j would make NaN of infinities
    return out


RULES = {
    "complex": binary(_complex, FLOATING),
    "real": lambda x: np.asarray(np.real(x)),
    "imag": lambda x: np.asarray(np.imag(x)),
    "conj": lambda x: np.asarray(np.conj(x)),
}
