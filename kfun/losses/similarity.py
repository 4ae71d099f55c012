"""Angles between vectors. B batch, R reference vectors, D features."""

from __future__ import annotations

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import EPSILON, as_arrays, dtype_of, pair, sizes


def cosine_similarity(y_true, y_pred, axis: int = -1):
    """Minus the cosine of the angle along `axis`: -1 for one direction, 1 for opposite ones."""
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    units = [ops.normalize(y, axis, 2, EPSILON) for y in (y_true, y_pred)]
    return ops.negative(ops.sum(ops.multiply(*units), axis))


def circle(
    y_true,
    y_pred,
    ref_labels=None,
    ref_embeddings=None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
):
    """Pair similarities, each weighted by its distance from the optimum (Sun et al. 2020, arXiv:2002.10857).

    Args:
        y_true: class numbers, `[B]` or `[B, 1]`.
        y_pred: embeddings of norm 1, `[B, D]`.
        ref_labels: class numbers of what to compare with, `[R]`; `y_true` if None.
        ref_embeddings: `[R, D]`; `y_pred` if None.
        remove_diagonal: whether to leave out the pairs `(i, i)`.
        gamma: scale.
        margin: relaxation of the optimum.

    Returns:
        `[B]`; 0 where a class has no positive or no negative pair.

    Raises:
        ValueError: if the embeddings are not `[B, D]`.
    """
    y_true, y_pred, ref_labels, ref_embeddings = as_arrays(y_true, y_pred, ref_labels, ref_embeddings)
    if len(sizes(y_pred)) != 2:
        raise ValueError(f"circle: expected embeddings of shape [B, D]; received shape {sizes(y_pred)}")
    ref_embeddings = y_pred if ref_embeddings is None else ref_embeddings
    positive, negative = _pairs(y_true, y_true if ref_labels is None else ref_labels, remove_diagonal)
    distance = ops.subtract(1.0, ops.matmul(y_pred, ops.transpose(ref_embeddings)))  # [B, R]
    distance = ops.maximum(distance, 0.0)
    pull = ops.multiply(ops.maximum(ops.add(margin, distance), 0.0), ops.subtract(distance, margin))
    push = ops.maximum(ops.subtract(1.0 + margin, distance), 0.0)
    push = ops.multiply(push, ops.subtract(1.0 - margin, distance))
    # A row without pairs of a sort has log-sum-exp of nothing: its loss is 0, and so its gradient.
    both = ops.logical_and(ops.any(positive, 1), ops.any(negative, 1))
    total = ops.add(_logsumexp(ops.multiply(gamma, pull), positive), _logsumexp(ops.multiply(gamma, push), negative))
    return ops.where(both, ops.softplus(total), 0.0)


def _pairs(labels, references, remove_diagonal):
    labels = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    references = ops.reshape(ops.cast(references, "int32"), (1, -1))
    same = ops.equal(labels, references)  # [B, R]
    if not remove_diagonal:
        return same, ops.logical_not(same)
    # Row and column numbers that follow the labels' framework and run-time sizes.
    rows = ops.cumsum(ops.ones_like(labels), 0)
    columns = ops.cumsum(ops.ones_like(references), 1)
    return ops.logical_and(same, ops.not_equal(rows, columns)), ops.logical_not(same)


def _logsumexp(x, where):
    lowest = -1e30 if dtype_of(x) != "float16" else -6e4
    return ops.logsumexp(ops.where(where, x, lowest), 1)


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between targets and predictions, `cosine_similarity`.

    Args:
        axis: the axis of the vectors.
    """

    axis: int = -1

    def call(self, y_true, y_pred):
        return cosine_similarity(y_true, y_pred, self.axis)


class Circle(Loss):
    """Circle loss over all pairs of a batch, `circle`; samples without loss do not count in the mean.

    Args:
        gamma: scale.
        margin: relaxation of the optimum.
        remove_diagonal: whether to leave out the pairs of a sample with itself.
    """

    gamma: float = 80.0
    margin: float = 0.4
    remove_diagonal: bool = True

    integer_labels = True
    pools_rows = True

    def call(self, y_true, y_pred):
        return circle(y_true, y_pred, remove_diagonal=self.remove_diagonal, gamma=self.gamma, margin=self.margin)

    def valid(self, y_true, y_pred, values):
        return ops.greater(values, 0)
