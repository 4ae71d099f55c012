"""Norms and decompositions of matrices, over the last two axes; leading axes are a batch."""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import reduction as r
from kfun.ops._dispatch import Array, derived, primitive


@primitive
def qr(x: Array, mode: str = "reduced"):
    """`x = q r` with orthonormal columns in `q` and upper triangular `r`, over the last two axes.

    `mode` is `"reduced"` or `"complete"`.
    """


@derived
def norm(x: Array, ord=None, axis=None, keepdims: bool = False) -> Array:
    """Vector norm along `axis` (of the flat array if None): `ord` 2 (default), 1 or inf; floating.

    The gradient of the 2-norm at zero is 0, a subgradient, where that of `sqrt` alone is NaN.
    """
    x = c.cast(x, dtypes.inexact(dtypes.name(x.dtype)))
    if ord in (None, 2, "euclidean"):
        total = r.sum(e.multiply(x, x), axis, keepdims)
        zero = e.equal(total, 0)
        return e.where(zero, 0.0, e.sqrt(e.where(zero, 1.0, total)))
    if ord == 1:
        return r.sum(e.abs(x), axis, keepdims)
    if ord == float("inf"):
        return r.max(e.abs(x), axis, keepdims)
    raise ValueError(f"ops.norm: expected ord None, 1, 2 or inf; received {ord!r}")
