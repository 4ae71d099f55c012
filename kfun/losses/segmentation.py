"""Overlap of regions. Values are over `axis`; None means the whole batch, which gives a scalar."""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import EPSILON, pair


def dice(y_true, y_pred, axis=None):
    """`1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + 1e-7)`.

    Args:
        y_true, y_pred: of one shape, in [0, 1].
        axis: an int, a tuple, or None for all axes.
    """
    y_true, y_pred = pair("dice", y_true, y_pred)
    overlap = ops.multiply(2.0, ops.sum(ops.multiply(y_true, y_pred), axis))
    total = ops.add(ops.sum(y_true, axis), ops.sum(y_pred, axis))
    return ops.subtract(1.0, ops.divide(overlap, ops.add(total, EPSILON)))


def tversky(y_true, y_pred, alpha: float = 0.5, beta: float = 0.5, axis=None):
    """`1 - overlap / (overlap + alpha * missed + beta * false alarms + 1e-7)` (arXiv:1706.05721).

    Keras's names for the two are the other way round: `alpha` weighs targets that the prediction
    misses, `beta` predictions off the target.

    Args:
        y_true, y_pred: of one shape, in [0, 1].
        alpha, beta: the two weights; 0.5 each is the Dice loss.
        axis: an int, a tuple, or None for all axes.
    """
    y_true, y_pred = pair("tversky", y_true, y_pred)
    overlap = ops.sum(ops.multiply(y_true, y_pred), axis)
    missed = ops.sum(ops.multiply(ops.subtract(1.0, y_pred), y_true), axis)
    alarms = ops.sum(ops.multiply(y_pred, ops.subtract(1.0, y_true)), axis)
    whole = ops.add(ops.add(overlap, ops.multiply(alpha, missed)), ops.add(ops.multiply(beta, alarms), EPSILON))
    return ops.subtract(1.0, ops.divide(overlap, whole))


class Dice(Loss):
    """One minus the Dice coefficient, `dice`.

    Args:
        axis: the axes to sum over; None means all, the batch too.
    """

    axis: Any = None

    @property
    def pools_rows(self):
        return self.axis is None

    def call(self, y_true, y_pred):
        return dice(y_true, y_pred, self.axis)


class Tversky(Loss):
    """One minus the Tversky index, `tversky`.

    Args:
        alpha: weight of targets that the prediction misses.
        beta: weight of predictions off the target.
        axis: the axes to sum over; None means all, the batch too.
    """

    alpha: float = 0.5
    beta: float = 0.5
    axis: Any = None

    @property
    def pools_rows(self):
        return self.axis is None

    def call(self, y_true, y_pred):
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)
