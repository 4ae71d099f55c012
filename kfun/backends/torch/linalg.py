"""Decompositions and linear systems on PyTorch."""

from __future__ import annotations

import torch

from kfun.backends.common.matrices import checked
from kfun.backends.torch.arrays import floating, same_type


def _wide(f):
    """Half precision and integers are computed in float32; half precision comes back."""

    def rule(*args):
        count = sum(isinstance(a, torch.Tensor) for a in args)
        arrays = [floating(a) for a in same_type(*args[:count])]
        dtype = arrays[0].dtype
        half = dtype.itemsize < 4
        out = f(*(a.to(torch.float32) if half else a for a in arrays), *args[count:])
        back = lambda x: x.to(dtype) if half and x.dtype is torch.float32 else x  # noqa: E731
        return tuple(map(back, out)) if isinstance(out, tuple) else back(out)

    return rule


def _mean_of_both(x):
    return (x + x.mH) / 2


def cholesky(x, upper=False):
    try:
        return torch.linalg.cholesky(_mean_of_both(x), upper=upper)
    except torch.linalg.LinAlgError as error:
        raise ValueError(
            "ops.cholesky: expected symmetric positive definite matrices; received one that is not"
        ) from error


def lu_factor(x):
    lu, pivots = torch.linalg.lu_factor(x)
    return lu, pivots - 1  # PyTorch counts rows from 1


def pinv(x, rcond=None):
    rcond = 10 * max(x.shape[-2:]) * torch.finfo(x.dtype).eps if rcond is None else rcond
    return torch.linalg.pinv(x, rtol=rcond)


def svd(x, full_matrices=True, compute_uv=True):
    return tuple(torch.linalg.svd(x, full_matrices)) if compute_uv else torch.linalg.svdvals(x)


def _columns(f):
    """Of solvers of matrices, given one vector, or batches that broadcast (which `vmap` of PyTorch's get wrong)."""

    def rule(a, b, *options):
        columns = b.unsqueeze(-1) if b.ndim == 1 else b
        lead = torch.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
        out = f(*(m.expand(*lead, *m.shape[-2:]) for m in (a, columns)), *options)
        return out.squeeze(-1) if b.ndim == 1 else out

    return rule


_DECOMPOSITIONS = {
    "cholesky": cholesky,
    "det": torch.linalg.det,
    "slogdet": lambda x: tuple(torch.linalg.slogdet(x)),
    "eig": lambda x: tuple(torch.linalg.eig(x)),
    "eigh": lambda x: tuple(torch.linalg.eigh(_mean_of_both(x))),
    "inv": torch.linalg.inv,
    "lu_factor": lu_factor,
    "pinv": pinv,
    "qr": lambda x, mode="reduced": tuple(torch.linalg.qr(x, mode)),
    "solve": _columns(torch.linalg.solve),
    "solve_triangular": _columns(lambda a, b, lower=False: torch.linalg.solve_triangular(a, b, upper=not lower)),
    "svd": svd,
}

RULES = {
    **checked({name: _wide(f) for name, f in _DECOMPOSITIONS.items()}),
}
