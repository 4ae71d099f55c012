"""Norms, decompositions and linear systems, over the last two axes; leading axes are a batch.

M and N are the sizes of a matrix, K is min(M, N). Half precision is computed in float32. The signs
(or phases) of eigenvectors, singular vectors and the columns of q are those of the backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kfun import dtypes
from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._dispatch import Array, Scalar, derived, primitive
from kfun.ops._precision import dtype_of, epsilon, widened

_INF = float("inf")


@primitive
def cholesky(x: Array, upper: bool = False) -> Array:
    """The triangular `l` with `l l^T = x`, or `u` with `u^T u = x` if `upper`.

    Args:
        x: `[..., N, N]`, symmetric and positive definite; the mean of it and its transpose is taken.

    Returns:
        `[..., N, N]`, zeros in the other triangle.

    Raises:
        ValueError: if `x` is not positive definite and its numbers are known; in functions that JAX
            or TensorFlow compiles, the result is NaN instead.
    """


@derived
def cholesky_inverse(x: Array, upper: bool = False) -> Array:
    """The inverse of the matrix whose Cholesky factor is `x`, `[..., N, N]`."""
    shape = c.shape(x)
    if len(shape) < 2:
        raise ValueError(f"ops.cholesky_inverse: expected matrices [..., N, N]; received shape {shape}")
    inverse = solve_triangular(x, _identity_like(x), not upper)
    turned = s.swapaxes(inverse, -1, -2)
    return p.matmul(inverse, turned) if upper else p.matmul(turned, inverse)


def _identity_like(x):
    ones = c.ones_like(x)
    return s.tril(s.triu(ones))


@primitive
def det(x: Array) -> Array:
    """Determinants `[...]` of `[..., N, N]`."""


@primitive
def slogdet(x: Array):
    """`(sign, log |det x|)`, each `[...]`, of `[..., N, N]`; `(0, -inf)` of a singular matrix."""


@derived
def logdet(x: Array) -> Array:
    """`log |det x|`, `[...]`, of `[..., N, N]`."""
    return slogdet(x)[1]


@primitive
def eig(x: Array):
    """Eigenvalues `[..., N]` and right eigenvectors `[..., N, N]` (columns), complex, in no order."""


@primitive
def eigh(x: Array):
    """Ascending eigenvalues `[..., N]` and orthonormal eigenvectors `[..., N, N]` (columns).

    `x` is symmetric, `[..., N, N]`; the mean of it and its transpose is taken.
    """


@primitive
def inv(x: Array) -> Array:
    """Inverses of `[..., N, N]`."""


@primitive
def lu_factor(x: Array):
    """`(lu, pivots)` of the factorization `x = p l u` with partial pivoting, as LAPACK packs it.

    Args:
        x: `[..., M, N]`.

    Returns:
        `lu`, `[..., M, N]`: u in the upper triangle, l (whose diagonal is 1) below it; and
        `pivots`, `[..., K]`, int32: row i changed places with row `pivots[i]`, one after another.
    """


@primitive
def qr(x: Array, mode: str = "reduced"):
    """`x = q r` with orthonormal columns in `q` and upper triangular `r`, over the last two axes.

    `mode` is `"reduced"` or `"complete"`.
    """


@primitive
def solve(a: Array, b: Array) -> Array:
    """`x` with `a x = b`: `a` is `[..., N, N]`, `b` one vector `[N]` or columns `[..., N, K]`."""


@primitive
def solve_triangular(a: Array, b: Array, lower: bool = False) -> Array:
    """As `solve`, by substitution; only the upper (or `lower`) triangle of `a` is read."""


@primitive
def svd(x: Array, full_matrices: bool = True, compute_uv: bool = True):
    """Singular value decomposition `x = u diag(s) vh`.

    Args:
        x: `[..., M, N]`.
        full_matrices: whether `u` is `[..., M, M]` and `vh` `[..., N, N]`, not `[..., M, K]` and `[..., K, N]`.
        compute_uv: whether the vectors are wanted.

    Returns:
        `(u, s, vh)`, or `s` alone: `[..., K]`, descending.
    """


@derived
def pinv(x: Array, rcond: float | None = None) -> Array:
    """The Moore-Penrose inverse, `[..., N, M]`.

    Singular values of at most `rcond` times the largest count as 0; by default
    `10 * max(M, N) * epsilon`.
    """
    u, values, vh = svd(x, False)
    largest = r.max(values, -1, True)
    kept = e.greater(values, e.multiply(largest, _tolerance(x, 10) if rcond is None else rcond))
    inverse = e.where(kept, e.divide(1, e.where(kept, values, 1)), 0)
    return p.einsum("...kn,...k,...mk->...nm", vh, inverse, u)


def _tolerance(x: Any, factor: float = 1) -> float:
    """`factor * max(M, N) * epsilon`: the relative size of what rounding leaves of a singular value that is 0."""
    shape = c.shape(x)
    if len(shape) < 2:
        raise ValueError(f"expected matrices [..., M, N]; received shape {shape}")
    return factor * max(shape[-2:]) * epsilon(dtypes.inexact(dtype_of(x)))


@derived
def lstsq(a: Array, b: Array, rcond: float | None = None) -> Array:
    """The `x` of least norm that minimizes `|a x - b|`.

    Args:
        a: `[..., M, N]`.
        b: `[..., M]`, or `[..., M, K]` if it has as many axes as `a`.
        rcond: singular values of at most this times the largest count as 0; `max(M, N) * epsilon` by default.

    Returns:
        `[..., N]` or `[..., N, K]`.
    """
    ranks = len(c.shape(a)), len(c.shape(b))
    if ranks[0] < 2 or ranks[1] not in (ranks[0] - 1, ranks[0]) or c.shape(a)[-2] != c.shape(b)[ranks[0] - 2]:
        raise ValueError(
            "ops.lstsq: expected a [..., M, N] with b [..., M] or [..., M, K]; "
            f"received shapes {c.shape(a)} and {c.shape(b)}"
        )
    inverse = pinv(a, _tolerance(a) if rcond is None else rcond)
    if ranks[1] == ranks[0]:
        return p.matmul(inverse, b)
    return s.squeeze(p.matmul(inverse, s.expand_dims(b, -1)), -1)


@derived
def matrix_rank(x: Array, tol: Scalar = None) -> Array:
    """How many singular values of `[..., M, N]` exceed `tol`, int32; by default `max(M, N) * epsilon * the largest`."""
    values = svd(x, False, False)
    if tol is None:
        tol = e.multiply(r.max(values, -1, True), _tolerance(x))
    return r.sum(c.cast(e.greater(values, tol), "int32"), -1)


@derived
def norm(x: Array, ord=None, axis=None, keepdims: bool = False) -> Array:
    """Norms of vectors along one axis, or of matrices over two; floating.

    | `ord` | vectors | matrices |
    |---|---|---|
    | None | 2-norm | Frobenius |
    | `"fro"` | | Frobenius |
    | `"nuc"` | | sum of the singular values |
    | inf, -inf | largest, smallest size | largest, smallest sum of a row |
    | 0 | number of elements that are not 0 | |
    | 1, -1 | `sum(abs(x) ** ord) ** (1 / ord)` | largest, smallest sum of a column |
    | 2, -2 | the same | largest, smallest singular value |
    | other numbers | the same | |

    Args:
        ord: see the table.
        axis: an int, or two ints for matrices. None takes all axes: with `ord` None as one flat
            vector, else `x` has one or two axes.

    The gradient of a 2-norm at zero is 0, a subgradient, where that of `sqrt` alone is NaN.
    """
    dtype = dtypes.inexact(dtype_of(x))
    ndim = len(c.shape(x))
    x = widened(c.cast(x, dtype))
    if axis is None:
        axes = tuple(range(ndim))
        if ord is not None and ndim not in (1, 2):
            raise ValueError(f"ops.norm: ord {ord!r} needs 1 or 2 axes; received shape {c.shape(x)}: give axis")
    else:
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        if len(axes) not in (1, 2):
            raise ValueError(f"ops.norm: expected one axis or two; received axis={axis!r}")
    if ord is None or (len(axes) == 1 and ord in (2, "euclidean")):
        found = _root(x, axes, keepdims)
    elif len(axes) == 1:
        found = _vector_norm(x, ord, axes, keepdims)
    else:
        found = _matrix_norm(x, ord, tuple(a % ndim for a in axes), keepdims)
    return c.cast(found, {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype))


def _root(x, axes, keepdims):
    x = e.abs(x) if dtype_of(x).startswith("complex") else x
    total = r.sum(e.multiply(x, x), axes, keepdims)
    zero = e.equal(total, 0)
    return e.where(zero, 0, e.sqrt(e.where(zero, 1, total)))


def _vector_norm(x, ord, axes, keepdims):
    if isinstance(ord, str):
        raise ValueError(f"ops.norm: expected a number or None as ord of vectors; received {ord!r}")
    if ord == 0:
        return r.sum(c.cast(e.not_equal(x, 0), dtype_of(x)), axes, keepdims)
    sizes = e.abs(x)
    if ord in (_INF, -_INF):
        return (r.max if ord > 0 else r.min)(sizes, axes, keepdims)
    if ord == 1:
        return r.sum(sizes, axes, keepdims)
    total = r.sum(e.power(sizes, ord), axes, keepdims)
    zero = e.equal(total, 0)
    return e.where(zero, 0, e.power(e.where(zero, 1, total), 1 / ord))


def _matrix_norm(x, ord, axes, keepdims):
    rows, columns = axes
    if rows == columns:
        raise ValueError(f"ops.norm: expected two different axes; received {axes}")
    if ord == "fro":
        return _root(x, axes, keepdims)
    if ord in (1, -1, _INF, -_INF):
        inner, outer = (rows, columns) if ord in (1, -1) else (columns, rows)
        found = (r.max if ord > 0 else r.min)(r.sum(e.abs(x), inner, True), outer, True)
    elif ord in (2, -2, "nuc"):
        values = svd(s.moveaxis(x, axes, (-2, -1)), False, False)
        found = {2: r.max, -2: r.min, "nuc": r.sum}[ord](values, -1)
        return s.expand_dims(found, tuple(sorted(axes))) if keepdims else found
    else:
        raise ValueError(f"ops.norm: expected ord 1, 2, inf, their negatives, 'fro' or 'nuc'; received {ord!r}")
    return found if keepdims else s.squeeze(found, axes)


@derived
def cdist(x: Array, y: Array) -> Array:
    """Euclidean distances `[..., M, N]` of the rows of `[..., M, D]` and `[..., N, D]`.

    Taken from the differences, not from squares and products, which cancel for points that are
    close. The gradient at a distance of 0 is 0.
    """
    shapes = c.shape(x), c.shape(y)
    sizes = {shape[-1] for shape in shapes if shape and isinstance(shape[-1], int)}
    if min(map(len, shapes)) < 2 or len(sizes) > 1:
        raise ValueError(
            f"ops.cdist: expected [..., M, D] and [..., N, D]; received shapes {shapes[0]} and {shapes[1]}"
        )
    return norm(e.subtract(s.expand_dims(x, -2), s.expand_dims(y, -3)), axis=-1)


def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False):
    """`(fun(*primals), tangent)`: the derivative of `fun` at `primals` along `tangents`, by forward mode.

    Args:
        fun: of arrays or pytrees of arrays; with `has_aux` it returns `(output, aux)`.
        primals: a tuple or list of its arguments.
        tangents: as `primals`, in the same shapes and dtypes.

    Returns:
        `(output, tangent)`, or `(output, tangent, aux)` if `has_aux`.
    """
    from kfun import transforms  # it imports the ops

    if not has_aux:
        return transforms.jvp(fun, primals, tangents)
    (output, aux), (tangent, _) = transforms.jvp(fun, primals, tangents)
    return output, tangent, aux


if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
