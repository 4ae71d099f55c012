"""Special functions on NumPy."""

from __future__ import annotations

import numpy as np
from scipy import special

from kfun.backends.numpy.arrays import wide

_MATH = "tan arcsin arccos arctan sinh cosh arcsinh arccosh arctanh cbrt exp2 log2 log10"
_SCIPY = {"erfc": special.erfc, "lgamma": special.gammaln, "digamma": special.digamma, "i0": special.i0}

RULES = {
    **{name: wide(getattr(np, name)) for name in _MATH.split(" ")},
    **{name: wide(f) for name, f in _SCIPY.items()},
}
