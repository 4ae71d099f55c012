"""Errors of real numbers. Shapes: `[B, ..., D]` in, `[B, ...]` out, averaged over the last axis."""

from __future__ import annotations

import math

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import EPSILON, pair


def mean_squared_error(y_true, y_pred):
    """`mean((y_true - y_pred) ** 2)`."""
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), -1)


def mean_absolute_error(y_true, y_pred):
    """`mean(|y_true - y_pred|)`."""
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.abs(ops.subtract(y_true, y_pred)), -1)


def mean_absolute_percentage_error(y_true, y_pred):
    """`100 * mean(|y_true - y_pred| / max(|y_true|, 1e-7))`."""
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    relative = ops.divide(ops.subtract(y_true, y_pred), ops.maximum(ops.abs(y_true), EPSILON))
    return ops.multiply(100.0, ops.mean(ops.abs(relative), -1))


def mean_squared_logarithmic_error(y_true, y_pred):
    """`mean((log(1 + y_true) - log(1 + y_pred)) ** 2)`, of values not below 1e-7."""
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    # log of the rounded sum, not log1p: Keras's numbers.
    logs = [ops.log(ops.add(ops.maximum(y, EPSILON), 1.0)) for y in (y_true, y_pred)]
    return ops.mean(ops.squared_difference(*logs), -1)


def huber(y_true, y_pred, delta: float = 1.0):
    """Squared error up to `delta`, linear beyond (Huber 1964).

    `mean(0.5 * e ** 2)` where `|e| <= delta`, else `delta * |e| - 0.5 * delta ** 2`.
    """
    y_true, y_pred = pair("huber", y_true, y_pred)
    error = ops.subtract(y_pred, y_true)
    size = ops.abs(error)
    linear = ops.subtract(ops.multiply(delta, size), 0.5 * delta * delta)
    return ops.mean(ops.where(ops.less_equal(size, delta), ops.multiply(0.5, ops.square(error)), linear), -1)


def log_cosh(y_true, y_pred):
    """`mean(log(cosh(y_pred - y_true)))`, without overflow."""
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    error = ops.subtract(y_pred, y_true)
    return ops.mean(ops.subtract(ops.add(error, ops.softplus(ops.multiply(-2.0, error))), math.log(2.0)), -1)


class MeanSquaredError(Loss):
    """The mean of squared errors, `mean_squared_error`."""

    def call(self, y_true, y_pred):
        return mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(Loss):
    """The mean of absolute errors, `mean_absolute_error`."""

    def call(self, y_true, y_pred):
        return mean_absolute_error(y_true, y_pred)


class MeanAbsolutePercentageError(Loss):
    """The mean error in percent of the targets, `mean_absolute_percentage_error`."""

    def call(self, y_true, y_pred):
        return mean_absolute_percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(Loss):
    """The mean of squared errors of logarithms, `mean_squared_logarithmic_error`."""

    def call(self, y_true, y_pred):
        return mean_squared_logarithmic_error(y_true, y_pred)


class Huber(Loss):
    """Squared error for small errors and linear for large ones, `huber`.

    Args:
        delta: where the one becomes the other.
    """

    delta: float = 1.0

    default_name = "huber_loss"

    def call(self, y_true, y_pred):
        return huber(y_true, y_pred, self.delta)


class LogCosh(Loss):
    """The logarithm of the hyperbolic cosine of the error, `log_cosh`."""

    def call(self, y_true, y_pred):
        return log_cosh(y_true, y_pred)
