"""Bits and whole numbers on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.numpy.arrays import FLOATING, binary, native


def view(x, dtype=None):
    return x if dtype is None else np.ascontiguousarray(x).reshape(x.shape).view(native(dtype))


_BITS = "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd lcm"

RULES = {
    **{name: binary(getattr(np, name)) for name in _BITS.split(" ")},
    "bitwise_not": np.bitwise_not,
    "nextafter": binary(np.nextafter, FLOATING),
    "view": view,
}
