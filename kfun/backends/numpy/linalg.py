"""Decompositions and linear systems on NumPy."""

from __future__ import annotations

import numpy as np
from scipy import linalg as scipy_linalg

from kfun.backends.common.matrices import checked
from kfun.backends.numpy.arrays import HALF, floating, quiet, same_type


def _wide(f):
    """Half precision and integers are computed in float32; half precision comes back."""

    def rule(*args):
        count = sum(isinstance(a, np.ndarray) for a in args)
        arrays = [floating(a) for a in same_type(*args[:count])]
        dtype = arrays[0].dtype
        half = dtype in HALF
        out = f(*(a.astype(np.float32) if half else a for a in arrays), *args[count:])
        back = lambda x: np.asarray(x).astype(dtype) if half and x.dtype == np.float32 else np.asarray(x)  # noqa: E731
        return tuple(map(back, out)) if isinstance(out, tuple) else back(out)

    return quiet(rule)


def _mean_of_both(x):
    return (x + np.swapaxes(x, -1, -2).conj()) / 2


def cholesky(x, upper=False):
    try:
        return np.linalg.cholesky(_mean_of_both(x), upper=upper)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "ops.cholesky: expected symmetric positive definite matrices; received one that is not"
        ) from error


def eig(x):
    values, vectors = np.linalg.eig(x)
    dtype = np.result_type(x, np.complex64)
    return values.astype(dtype), vectors.astype(dtype)


def lu_factor(x):
    lu, pivots = scipy_linalg.lu_factor(x)
    return lu, pivots.astype(np.int32)


def solve_triangular(a, b, lower=False):
    return np.linalg.solve(np.tril(a) if lower else np.triu(a), b)


_DECOMPOSITIONS = {
    "cholesky": cholesky,
    "det": np.linalg.det,
    "slogdet": np.linalg.slogdet,
    "eig": eig,
    "eigh": lambda x: np.linalg.eigh(_mean_of_both(x)),
    "inv": np.linalg.inv,
    "lu_factor": lu_factor,
    "qr": np.linalg.qr,
    "solve": np.linalg.solve,
    "solve_triangular": solve_triangular,
    "svd": np.linalg.svd,
}

RULES = {
    **checked({name: _wide(f) for name, f in _DECOMPOSITIONS.items()}),
}
