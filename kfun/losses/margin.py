"""Margins of classifiers. Shapes: `[B, ..., D]` in, `[B, ...]` out."""

from __future__ import annotations

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import pair


def hinge(y_true, y_pred):
    """`mean(max(1 - y_true * y_pred, 0))`.

    Args:
        y_true: -1 or 1; if the whole batch is of 0 and 1, the zeros are taken for -1.
        y_pred: scores, of the shape of `y_true`.
    """
    return ops.mean(_violation("hinge", y_true, y_pred), -1)


def squared_hinge(y_true, y_pred):
    """`mean(max(1 - y_true * y_pred, 0) ** 2)`, with labels as in `hinge`."""
    return ops.mean(ops.square(_violation("squared_hinge", y_true, y_pred)), -1)


def _violation(function, y_true, y_pred):
    y_true, y_pred = pair(function, y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    signs = ops.where(binary, ops.subtract(ops.multiply(2.0, y_true), 1.0), y_true)
    return ops.maximum(ops.subtract(1.0, ops.multiply(signs, y_pred)), 0.0)


def categorical_hinge(y_true, y_pred):
    """`max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)`, for one-hot targets."""
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    right = ops.sum(ops.multiply(y_true, y_pred), -1)
    wrong = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), -1)
    return ops.maximum(ops.add(ops.subtract(wrong, right), 1.0), 0.0)


class Hinge(Loss):
    """The mean violation of a margin of 1, `hinge`."""

    def call(self, y_true, y_pred):
        return hinge(y_true, y_pred)


class SquaredHinge(Loss):
    """The mean squared violation of a margin of 1, `squared_hinge`."""

    def call(self, y_true, y_pred):
        return squared_hinge(y_true, y_pred)


class CategoricalHinge(Loss):
    """How far the best wrong class comes within a margin of 1 of the right one, `categorical_hinge`."""

    def call(self, y_true, y_pred):
        return categorical_hinge(y_true, y_pred)
