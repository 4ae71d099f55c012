"""Divergences between distributions. Shapes: `[B, ..., D]` in, `[B, ...]` out."""

from __future__ import annotations

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import EPSILON, dtype_of, labels_of, pair


def kl_divergence(y_true, y_pred):
    """`sum(y_true * log(y_true / y_pred))`, both kept within [1e-7, 1]."""
    y_true, y_pred = (ops.clip(y, EPSILON, 1.0) for y in pair("kl_divergence", y_true, y_pred))
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), -1)


def poisson(y_true, y_pred):
    """`mean(y_pred - y_true * log(y_pred + 1e-7))`: counts `y_true` with expectation `y_pred`."""
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return ops.mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, EPSILON)))), -1)


def categorical_generalized_cross_entropy(y_true, y_pred, q: float):
    """`(1 - p ** q) / q`, p the probability of the label: robust to wrong labels (arXiv:1805.07836).

    Args:
        y_true: class numbers, `[B, ...]` or `[B, ..., 1]`.
        y_pred: probabilities, `[B, ..., C]`.
        q: in (0, 1): near 0 cross-entropy, near 1 the mean absolute error.
    """
    labels, y_pred = labels_of("categorical_generalized_cross_entropy", y_true, y_pred)
    p = ops.sum(ops.multiply(ops.one_hot(labels, ops.shape(y_pred)[-1], -1, dtype_of(y_pred)), y_pred), -1)
    return ops.divide(ops.subtract(1.0, ops.power(p, q)), q)


class KLDivergence(Loss):
    """Kullback-Leibler divergence of the predictions from the targets, `kl_divergence`."""

    def call(self, y_true, y_pred):
        return kl_divergence(y_true, y_pred)


class Poisson(Loss):
    """Negative log-likelihood of counts, up to a constant, `poisson`."""

    def call(self, y_true, y_pred):
        return poisson(y_true, y_pred)


class CategoricalGeneralizedCrossEntropy(Loss):
    """Between cross-entropy and mean absolute error, `categorical_generalized_cross_entropy`.

    Args:
        q: in (0, 1).
    """

    q: float = 0.5

    integer_labels = True

    def check(self):
        super().check()
        if not 0 < self.q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: expected q between 0 and 1; received {self.q}")

    def call(self, y_true, y_pred):
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)
