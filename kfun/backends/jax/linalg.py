"""Decompositions and linear systems on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from kfun.backends.common.matrices import checked


def _wide(f):
    """Half precision and integers are computed in float32; half precision comes back."""

    def rule(*args):
        arrays = [a for a in args if isinstance(a, jax.Array)]
        dtype = jnp.result_type(*arrays, float)
        half = dtype.itemsize < 4
        out = f(*(a.astype(jnp.float32 if half else dtype) if isinstance(a, jax.Array) else a for a in args))
        out = jax.tree.map(lambda x: x.astype(dtype) if half and x.dtype == jnp.float32 else x, out)
        return tuple(out) if isinstance(out, tuple) else out

    return rule


_factor = jax.jit(jnp.linalg.cholesky, static_argnames="upper")


def cholesky(x, upper=False):
    out = _factor(x, upper=upper)
    if not isinstance(out, Tracer) and bool(jnp.isnan(out).any()):
        raise ValueError("ops.cholesky: expected symmetric positive definite matrices; received one that is not")
    return out


def solve_triangular(a, b, lower=False):
    columns = b[:, None] if b.ndim == 1 else b
    batch = jnp.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    wide = [jnp.broadcast_to(m, (*batch, *m.shape[-2:])) for m in (a, columns)]
    out = lax.linalg.triangular_solve(*wide, left_side=True, lower=lower)
    return out[..., 0] if b.ndim == 1 else out


_DECOMPOSITIONS = {
    "cholesky": cholesky,
    "det": jnp.linalg.det,
    "slogdet": jnp.linalg.slogdet,
    "eig": jnp.linalg.eig,
    "eigh": jnp.linalg.eigh,
    "inv": jnp.linalg.inv,
    "lu_factor": lambda x: lax.linalg.lu(x)[:2],
    "pinv": lambda x, rcond=None: jnp.linalg.pinv(x, rcond),
    "qr": lambda x, mode="reduced": jnp.linalg.qr(x, mode),
    "solve": jnp.linalg.solve,
    "solve_triangular": solve_triangular,
    "svd": lambda x, full_matrices=True, compute_uv=True: jnp.linalg.svd(x, full_matrices, compute_uv),
}

RULES = {
    **checked({name: _wide(f) for name, f in _DECOMPOSITIONS.items()}),
}
