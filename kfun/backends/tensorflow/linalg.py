"""Decompositions and linear systems on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.common.matrices import checked
from kfun.backends.tensorflow.arrays import HALF, as_floating, common, rank, sizes


def _wide(f):
    """Half precision and integers are computed in float32; half precision comes back."""

    def rule(*args):
        count = sum(isinstance(a, (tf.Tensor, tf.Variable)) for a in args)
        arrays = [as_floating(a) for a in common(args[:count])]
        dtype = arrays[0].dtype
        half = dtype in HALF
        out = f(*(tf.cast(a, tf.float32) if half else a for a in arrays), *args[count:])
        back = lambda x: tf.cast(x, dtype) if half and x.dtype == tf.float32 else x  # noqa: E731
        return tuple(map(back, out)) if isinstance(out, tuple) else back(out)

    return rule


def _mean_of_both(x):
    return (x + tf.linalg.adjoint(x)) / 2


def cholesky(x, upper=False):
    lower = tf.linalg.cholesky(_mean_of_both(x))
    if tf.executing_eagerly() and tf.reduce_any(tf.math.is_nan(tf.abs(lower))):
        raise ValueError("ops.cholesky: expected symmetric positive definite matrices; received one that is not")
    return tf.linalg.adjoint(lower) if upper else lower


def lu_factor(x):
    """TensorFlow gives the order of the rows: the exchanges that lead to it are read off one by one."""
    n, columns = sizes(x)[-2:]
    if not isinstance(n, int) or n != columns:
        raise ValueError(f"ops.lu_factor: TensorFlow factors square matrices of known size; received shape {x.shape}")
    lu, order = tf.linalg.lu(x)
    current, pivots = tf.range(n) + tf.zeros_like(order), []
    for i in range(n):
        row = order[..., i : i + 1]
        pivot = tf.argmax(tf.equal(current, row), -1, tf.int32)
        moved = tf.where(tf.equal(tf.range(n), pivot[..., None]), current[..., i : i + 1], current)
        current = tf.where(tf.equal(tf.range(n), i), row, moved)
        pivots.append(pivot)
    return lu, tf.stack(pivots, -1)


def svd(x, full_matrices=True, compute_uv=True):
    if not compute_uv:
        return tf.linalg.svd(x, compute_uv=False)
    values, u, v = tf.linalg.svd(x, full_matrices)
    return u, values, tf.linalg.adjoint(v)


def _solving(f):
    """Of solvers of matrices, given one vector, or batches that broadcast."""

    def rule(a, b, *options):
        columns = b[:, None] if rank(b) == 1 else b
        lead = tf.broadcast_static_shape(a.shape[:-2], columns.shape[:-2])
        if not lead.is_fully_defined():
            lead = tf.broadcast_dynamic_shape(tf.shape(a)[:-2], tf.shape(columns)[:-2])
        wide = (tf.broadcast_to(m, tf.concat([lead, tf.shape(m)[-2:]], 0)) for m in (a, columns))
        out = f(*wide, *options)
        return tf.squeeze(out, -1) if rank(b) == 1 else out

    return rule


def qr(x, mode="reduced"):
    if mode not in ("reduced", "complete"):
        raise ValueError(f"ops.qr: expected mode 'reduced' or 'complete'; received {mode!r}")
    return tuple(tf.linalg.qr(x, full_matrices=mode == "complete"))


_DECOMPOSITIONS = {
    "cholesky": cholesky,
    "det": tf.linalg.det,
    "slogdet": lambda x: tuple(tf.linalg.slogdet(x)),
    "eig": lambda x: tuple(tf.linalg.eig(x)),
    "eigh": lambda x: tuple(tf.linalg.eigh(_mean_of_both(x))),
    "inv": tf.linalg.inv,
    "lu_factor": lu_factor,
    "qr": qr,
    "solve": _solving(tf.linalg.solve),
    "solve_triangular": _solving(lambda a, b, lower=False: tf.linalg.triangular_solve(a, b, lower)),
    "svd": svd,
}

RULES = {
    **checked({name: _wide(f) for name, f in _DECOMPOSITIONS.items()}),
}
