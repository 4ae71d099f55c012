"""Rows of decompositions and linear systems."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.spatial

from kfun import ops
from tests.ops.rows import case, row

_LACKING = "it has no such operation"


def _squares(draw):
    x = draw.normal(3, 3)
    return [
        case(x),
        case(draw.normal(2, 4, 4)),
        case(draw.normal(2, 1, 2, 2)),
        case(draw.normal(1, 1)),
        case(draw.integers(-3, 4, 3, 3) + 5 * np.eye(3, dtype="int32")),
    ]


def _positive(draw, *shape):
    x = draw.normal(*shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1], dtype="float32")


def _positives(draw):
    x = _positive(draw, 3, 3)
    return [
        case(x),
        case(_positive(draw, 2, 4, 4)),
        case(x, True),
        case(_positive(draw, 2, 2, 2), upper=True),
        case(x.astype("float64")),
        case(np.int32([[4, 2], [2, 3]])),
    ]


def _factors_of_positives(draw):
    x = np.linalg.cholesky(_positive(draw, 3, 3))
    return [
        case(x),
        case(x.T.copy(), True),
        case(np.linalg.cholesky(_positive(draw, 2, 3, 3))),
    ]


def _cholesky_inverse_reference(x, upper=False):
    turned = np.swapaxes(x, -1, -2)
    return np.linalg.inv(turned @ x if upper else x @ turned)


def _symmetric(draw):
    return [case(c.args[0] + np.swapaxes(c.args[0], -1, -2)) for c in _squares(draw)]


def _reconstructed_eigh(x):
    """What the eigenvalues and vectors make up again, and the eigenvalues, in their order."""
    x = ops.divide(ops.add(x, ops.swapaxes(x, -1, -2)), 2)
    values, vectors = ops.eigh(x)
    return ops.einsum("...ik,...k,...jk->...ij", vectors, values, vectors), values


def _floats(x):
    return x if x.dtype == np.float64 else x.astype("float32")


def _reconstructed_eig(x):
    values, vectors = ops.eig(x)
    return ops.subtract(ops.matmul(ops.cast(x, vectors.dtype), vectors), ops.multiply(vectors, values[..., None, :]))


def _eig_reference(x):
    wide = x.dtype == np.float64
    return np.zeros(x.shape, "complex128" if wide else "complex64")


def _reconstructed_svd(x, full_matrices=True, compute_uv=True):
    if not compute_uv:
        return ops.svd(x, full_matrices, compute_uv)
    u, values, vh = ops.svd(x, full_matrices)
    k = values.shape[-1]
    return ops.einsum("...ik,...k,...kj->...ij", u[..., :k], values, vh[..., :k, :]), values, *_orthonormal(u, vh)


def _orthonormal(u, vh):
    return ops.matmul(ops.swapaxes(u, -1, -2), u), ops.matmul(vh, ops.swapaxes(vh, -1, -2))


def _svd_reference(x, full_matrices=True, compute_uv=True):
    values = np.linalg.svd(x, compute_uv=False)
    if not compute_uv:
        return values
    m, n = x.shape[-2:]
    sizes = (m, n) if full_matrices else (min(m, n),) * 2
    units = [np.broadcast_to(np.eye(k, dtype=values.dtype), (*x.shape[:-2], k, k)) for k in sizes]
    return x.astype(values.dtype), values, *units


def _rectangles(draw):
    return [
        case(draw.normal(3, 4), False),
        case(draw.normal(4, 3), full_matrices=False),
        case(draw.normal(2, 3, 3)),
        # JAX has no gradient of the vectors that span what is left of a space.
        case(draw.normal(4, 2)).but(grad=False),
        case(draw.normal(2, 2, 4), True).but(grad=False),
        case(draw.normal(2, 3, 4), compute_uv=False),
        case(draw.integers(-4, 5, 3, 2), False, False),
    ]


def _inverses(draw):
    low = draw.normal(4, 2) @ draw.normal(2, 3)
    return [
        case(draw.normal(4, 3)),
        case(draw.normal(2, 3, 4)),
        case(draw.normal(3, 3), 1e-3),
        case(low).but(grad=False, atol=1e-4),  # the gradient jumps where the rank does
        case(np.zeros((2, 3), "float32")).but(grad=False),
        case(draw.integers(-4, 5, 3, 2)),
    ]


def _pinv_reference(x, rcond=None):
    x = x.astype("float32")
    return np.linalg.pinv(x, 10 * max(x.shape[-2:]) * np.finfo(x.dtype).eps if rcond is None else rcond)


def _least_squares(draw):
    a = draw.normal(5, 3)
    low = draw.normal(4, 2) @ draw.normal(2, 3)
    return [
        case(a, draw.normal(5)),
        case(a, draw.normal(5, 2)),
        case(draw.normal(3, 5), draw.normal(3, 2)),
        case(low, draw.normal(4), 1e-4).but(grad=False, atol=1e-4),
        case(a, draw.normal(5), rcond=0.1).but(grad=False),
    ]


def _ranks(draw):
    low = draw.normal(4, 2) @ draw.normal(2, 3)
    return [
        case(draw.normal(3, 4)),
        case(np.stack([low, np.zeros_like(low)])),
        case(np.diag(np.float32([1, 0.1, 0.01])), 0.05),
        case(np.diag(np.float32([1, 0.1, 0.01])), tol=np.float32(0.5)),
        case(draw.integers(-4, 5, 3, 3)),
    ]


def _matrix_rank_reference(x, tol=None):
    return np.asarray(np.linalg.matrix_rank(x, tol), "int32")


def _systems(draw):
    a = draw.normal(3, 3) + 3 * np.eye(3, dtype="float32")
    many = draw.normal(2, 3, 3) + 3 * np.eye(3, dtype="float32")
    return [
        case(a, draw.normal(3)),
        case(a, draw.normal(3, 2)),
        case(many, draw.normal(2, 3, 2)),
        case(many, draw.normal(3, 1)),
        case(a, draw.normal(2, 3, 2)),
        case(many, draw.normal(3)),
        case(draw.integers(-3, 4, 3, 3) + 9 * np.eye(3, dtype="int32"), draw.integers(-3, 4, 3)),
    ]


def _triangular(draw):
    return [*_systems(draw), *[case(*c.args, lower=True).but(**c.options) for c in _systems(draw)[:3]]]


def _triangular_reference(a, b, lower=False):
    return np.linalg.solve(np.tril(a) if lower else np.triu(a), b)


def _lu_reference(x):
    found = [scipy.linalg.lu_factor(m) for m in x.reshape(-1, *x.shape[-2:]).astype(np.result_type(x, "float32"))]
    lu, pivots = (np.stack(parts) for parts in zip(*found, strict=True))
    return lu.reshape(x.shape), pivots.reshape(*x.shape[:-2], -1).astype("int32")


def _slogdet_reference(x):
    return tuple(np.linalg.slogdet(x))


def _points(draw):
    x = draw.normal(4, 3)
    return [
        case(x, draw.normal(2, 3)),
        case(draw.normal(2, 3, 2), draw.normal(2, 4, 2)),
        case(draw.normal(2, 1, 3, 2), draw.normal(4, 2)),
        case(x, x + 1e4).but(rtol=1e-4),
        case(draw.integers(0, 5, 3, 2), draw.integers(0, 5, 2, 2)),
        case(x[:0], x),
    ]


def _cdist_reference(x, y):
    difference = x[..., :, None, :].astype("float32") - y[..., None, :, :].astype("float32")
    return np.sqrt((difference**2).sum(-1))


def _decomposition(name, make, reference, **options):
    return row(name, make, reference, dict.fromkeys(("openvino", "onnx"), _LACKING), atol=1e-5, **options)


ROWS = [
    _decomposition("cholesky", _positives, lambda x, upper=False: np.linalg.cholesky(x, upper=upper)),
    row("cholesky_inverse", _factors_of_positives, _cholesky_inverse_reference, rtol=1e-4, atol=1e-5),
    row("det", _squares, np.linalg.det, {"openvino": _LACKING}, atol=1e-5),
    _decomposition("slogdet", _squares, _slogdet_reference),
    _decomposition("logdet", _squares, lambda x: np.linalg.slogdet(x)[1]),
    # Vectors have a phase of their own, which no gradient sees.
    _decomposition("eig", _squares, _eig_reference, op=_reconstructed_eig, grad=False),
    _decomposition("eigh", _symmetric, lambda x: (_floats(x), np.linalg.eigvalsh(x)), op=_reconstructed_eigh),
    row("inv", _squares, np.linalg.inv, rtol=1e-4, atol=1e-5),
    _decomposition("lu_factor", _squares, _lu_reference, grad=False),  # TensorFlow has none
    _decomposition("svd", _rectangles, _svd_reference, op=_reconstructed_svd),
    _decomposition("pinv", _inverses, _pinv_reference, rtol=1e-4),
    _decomposition("lstsq", _least_squares, lambda a, b, rcond=None: np.linalg.lstsq(a, b, rcond)[0], rtol=1e-4),
    _decomposition("matrix_rank", _ranks, _matrix_rank_reference, grad=False),
    row("solve", _systems, np.linalg.solve, rtol=1e-4, atol=1e-5),
    row("solve_triangular", _triangular, _triangular_reference, rtol=1e-3, atol=1e-4),
    row("cdist", _points, _cdist_reference),
]
