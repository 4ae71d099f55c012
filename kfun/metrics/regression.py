"""Errors and correlations of real numbers, `[B, ..., D]`."""

from __future__ import annotations

from typing import Any

from kfun import losses, ops
from kfun.losses._shapes import EPSILON, as_arrays, pair, sizes
from kfun.metrics._base import Metric
from kfun.metrics.reduction import Mean, MeanOf
from kfun.spec import Spec


class MeanSquaredError(MeanOf):
    """The mean of squared errors."""

    def values(self, y_true, y_pred):
        return losses.mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(MeanOf):
    """The mean of absolute errors."""

    def values(self, y_true, y_pred):
        return losses.mean_absolute_error(y_true, y_pred)


class MeanAbsolutePercentageError(MeanOf):
    """The mean error in percent of the targets."""

    def values(self, y_true, y_pred):
        return losses.mean_absolute_percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(MeanOf):
    """The mean of squared errors of logarithms."""

    def values(self, y_true, y_pred):
        return losses.mean_squared_logarithmic_error(y_true, y_pred)


class LogCoshError(MeanOf):
    """The mean logarithm of the hyperbolic cosine of the error."""

    default_name = "logcosh"

    def values(self, y_true, y_pred):
        return losses.log_cosh(y_true, y_pred)


class CosineSimilarity(MeanOf):
    """The mean cosine of the angle between targets and predictions: 1 for one direction.

    The loss of this name has the other sign.

    Args:
        axis: the axis of the vectors.
    """

    axis: int = -1

    def values(self, y_true, y_pred):
        return ops.negative(losses.cosine_similarity(y_true, y_pred, self.axis))


class RootMeanSquaredError(Mean):
    """The root of the mean of squared errors."""

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        y_true, y_pred = (ops.cast(y, self.state_dtype) for y in pair("root_mean_squared_error", y_true, y_pred))
        return super().update(state, ops.squared_difference(y_true, y_pred), sample_weight)

    def result(self, state: dict) -> Any:
        return ops.sqrt(super().result(state))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The value for one batch alone."""
        return self.result(self.update(self.init(), y_true, y_pred, sample_weight))


def pearson_correlation(y_true, y_pred, axis: int = -1):
    """Pearson's correlation along `axis`, in [-1, 1]; NaN where one side is constant."""
    units = []
    for y in pair("pearson_correlation", y_true, y_pred):
        centred = ops.subtract(y, ops.mean(y, axis, True))
        units.append(ops.divide(centred, ops.std(centred, axis, True)))
    return ops.mean(ops.multiply(*units), axis)


def concordance_correlation(y_true, y_pred, axis: int = -1):
    """Lin's concordance along `axis`: `2 cov / (var + var + (mean - mean) ** 2 + 1e-7)`."""
    y_true, y_pred = pair("concordance_correlation", y_true, y_pred)
    means = ops.mean(y_true, axis, True), ops.mean(y_pred, axis, True)
    first, second = ops.subtract(y_true, means[0]), ops.subtract(y_pred, means[1])
    spread = ops.add(ops.mean(ops.square(first), axis), ops.mean(ops.square(second), axis))
    spread = ops.add(spread, ops.squeeze(ops.squared_difference(*means), axis))
    covariance = ops.mean(ops.multiply(first, second), axis)
    return ops.divide(ops.multiply(2.0, covariance), ops.add(spread, EPSILON))


class PearsonCorrelation(MeanOf):
    """The mean of Pearson's correlations along `axis`.

    Args:
        axis: the axis of the samples that are correlated.
    """

    axis: int = -1

    def values(self, y_true, y_pred):
        return pearson_correlation(y_true, y_pred, self.axis)


class ConcordanceCorrelation(MeanOf):
    """The mean of Lin's concordance correlations along `axis`.

    Args:
        axis: the axis of the samples that are correlated.
    """

    axis: int = -1

    def values(self, y_true, y_pred):
        return concordance_correlation(y_true, y_pred, self.axis)


class R2Score(Metric):
    """The coefficient of determination: 1 is perfect, 0 no better than the mean.

    Targets and predictions are `[B, D]`; `init` needs D.

    Args:
        class_aggregation: over the D outputs: `"uniform_average"`, `"variance_weighted_average"`,
            or None for one score each.
        num_regressors: the number of predictors, for the adjusted score; 0 for the plain one. With
            no more data than predictors the plain one is given.
    """

    class_aggregation: str | None = "uniform_average"
    num_regressors: int = 0

    @property
    def pools_rows(self):
        return self.num_regressors > 0

    def check(self):
        known = (None, "uniform_average", "variance_weighted_average")
        if self.class_aggregation not in known:
            raise ValueError(
                f"R2Score: class_aggregation: unknown value {self.class_aggregation!r}; expected one of {known}"
            )
        if self.num_regressors < 0:
            raise ValueError(f"R2Score: num_regressors: expected 0 or more; received {self.num_regressors}")

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        each = (outputs_of(self, y_pred),)
        return self.zeros(num_samples=(), squared_sum=each, sum=each, residual=each, count=each)

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        y_true, y_pred, weight = as_arrays(y_true, y_pred, 1.0 if sample_weight is None else sample_weight)
        y_true, y_pred = (ops.cast(y, self.state_dtype) for y in pair("r2_score", y_true, y_pred))
        weight = ops.cast(weight, self.state_dtype)
        weight = ops.expand_dims(weight, 1) if len(sizes(weight)) == 1 else weight
        weight = ops.broadcast_to(weight, ops.shape(y_true))
        weighted = ops.multiply(y_true, weight)
        return self.added(
            state,
            num_samples=ops.sum(ops.ones_like(y_true)),
            squared_sum=ops.sum(ops.multiply(y_true, weighted), 0),
            sum=ops.sum(weighted, 0),
            residual=ops.sum(ops.multiply(ops.squared_difference(y_true, y_pred), weight), 0),
            count=ops.sum(weight, 0),
        )

    def result(self, state: dict) -> Any:
        total = ops.subtract(state["squared_sum"], ops.divide(ops.square(state["sum"]), state["count"]))
        score = ops.subtract(1.0, ops.divide(state["residual"], total))
        score = ops.where(ops.isinf(score), 0.0, score)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.divide(ops.sum(ops.multiply(total, score)), ops.sum(total))
        if not self.num_regressors:
            return score
        freedom = ops.subtract(state["num_samples"], self.num_regressors + 1.0)
        enough = ops.greater(freedom, 0)
        penalty = ops.divide(ops.subtract(state["num_samples"], 1.0), ops.where(enough, freedom, 1.0))
        return ops.where(enough, ops.subtract(1.0, ops.multiply(ops.subtract(1.0, score), penalty)), score)


def outputs_of(metric: Metric, y_pred: Any) -> int:
    """The size of the last axis of `[B, D]` predictions.

    Raises:
        ValueError: if the predictions are not given, not of two axes, or of unknown size.
    """
    if y_pred is None:
        raise ValueError(f"{type(metric).__name__} has a state per output: give specs, init(y_true, y_pred)")
    shape = Spec.of(y_pred).shape
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"{type(metric).__name__} takes values of shape [B, C] with C known, "
            f"not None; received y_pred of shape {shape}"
        )
    return shape[1]
