"""Products on NumPy."""

from __future__ import annotations

import numpy as np

from kfun.backends.numpy.arrays import HALF, quiet, same_type


def _product(f):
    """Of products: half precision accumulates in float32."""

    def rule(*operands):
        operands = same_type(*operands)
        out = operands[0].dtype
        if out in HALF:
            operands = [x.astype(np.float32) for x in operands]
        return np.asarray(f(*operands)).astype(out)

    return quiet(rule)


def einsum(subscripts, *operands):
    return _product(lambda *xs: np.einsum(subscripts, *xs, optimize=True))(*operands)


RULES = {
    "matmul": _product(np.matmul),
    "einsum": einsum,
}
