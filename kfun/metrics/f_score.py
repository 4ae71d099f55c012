"""The harmonic mean of precision and recall. C classes."""

from __future__ import annotations

from typing import Annotated, Any

from kfun import ops
from kfun.definition import Convert
from kfun.losses._shapes import EPSILON, as_arrays, sizes
from kfun.metrics._base import Metric
from kfun.metrics.regression import outputs_of

AVERAGES = (None, "micro", "macro", "weighted")


def _python_float(name: str) -> Convert:
    """Takes floats alone: `beta=1` is refused, as by Keras."""

    def check(value: Any) -> float | None:
        if (value is not None and not isinstance(value, float)) or (value is None and name == "beta"):
            raise ValueError(f"expected a float as `{name}`. Received: {name}={value} of type '{type(value)}'")
        return value

    return Convert(check)


class _FScore(Metric):
    """Base of the F scores, with fields `average`, `beta` and `threshold`."""

    def check(self):
        name = type(self).__name__
        if self.average not in AVERAGES:
            known = "{None, 'micro', 'macro', 'weighted'}"
            raise ValueError(f"{name}: average: expected one of {known}; received {self.average}")
        if self.beta <= 0:
            raise ValueError(f"{name}: beta: expected a number above 0; received {self.beta}")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"{name}: threshold: expected a number in (0, 1]. Received: threshold={self.threshold}")

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        shape = () if self.average == "micro" else (outputs_of(self, y_pred),)
        names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
        return self.zeros(**dict.fromkeys(names, shape))

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        y_true, y_pred, weight = as_arrays(y_true, y_pred, sample_weight)
        self.warn_of_cuts(sample_weight)
        if len(sizes(y_pred)) != 2 or len(sizes(y_true)) != 2:
            raise ValueError(
                f"{type(self).__name__} takes scores of shape [B, C]; received "
                f"y_pred.shape={sizes(y_pred)} and y_true.shape={sizes(y_true)}"
            )
        y_true, y_pred = ops.cast(y_true, self.working_dtype), ops.cast(y_pred, self.working_dtype)
        if self.threshold is None:  # the largest is a yes, unless all are 0
            largest = ops.greater_equal(y_pred, ops.max(y_pred, -1, True))
            yes = ops.logical_and(largest, ops.greater(ops.abs(y_pred), 1e-9))
        else:
            yes = ops.greater(y_pred, self.threshold)
        yes = ops.cast(yes, self.working_dtype)
        if weight is not None:
            weight = ops.cast(weight, self.working_dtype)
            weight = ops.expand_dims(weight, 1) if len(sizes(weight)) == 1 else weight

        def total(x):
            x = x if weight is None else ops.multiply(x, weight)
            return ops.sum(x, None if self.average == "micro" else 0)

        return self.added(
            state,
            true_positives=total(ops.multiply(yes, y_true)),
            false_positives=total(ops.multiply(yes, ops.subtract(1.0, y_true))),
            false_negatives=total(ops.multiply(ops.subtract(1.0, yes), y_true)),
            intermediate_weights=total(y_true),
        )

    def result(self, state: dict) -> Any:
        right = state["true_positives"]
        precision = ops.divide(right, ops.add(ops.add(right, state["false_positives"]), EPSILON))
        recall = ops.divide(right, ops.add(ops.add(right, state["false_negatives"]), EPSILON))
        squared = self.beta**2
        whole = ops.add(ops.add(ops.multiply(squared, precision), recall), EPSILON)
        score = ops.multiply(1.0 + squared, ops.divide(ops.multiply(precision, recall), whole))
        if self.average == "weighted":
            weights = state["intermediate_weights"]
            return ops.sum(ops.multiply(score, ops.divide(weights, ops.add(ops.sum(weights), EPSILON))))
        return score if self.average is None else ops.mean(score)


class FBetaScore(_FScore):
    """`(1 + beta ** 2) * precision * recall / (beta ** 2 * precision + recall)` of one-hot targets `[B, C]`.

    Args:
        average: over the classes: `"micro"` counts all as one, `"macro"` takes the mean, `"weighted"`
            the mean by the number of targets; None gives one score per class.
        beta: positive: how much more recall weighs than precision.
        threshold: above it a prediction is a yes; None: the largest of each sample is.
    """

    average: str | None = None
    beta: Annotated[float, _python_float("beta")] = 1.0
    threshold: Annotated[float | None, _python_float("threshold")] = None

    default_name = "fbeta_score"


class F1Score(_FScore):
    """`2 * precision * recall / (precision + recall)` of one-hot targets `[B, C]`.

    Args:
        average: over the classes: `"micro"` counts all as one, `"macro"` takes the mean, `"weighted"`
            the mean by the number of targets; None gives one score per class.
        threshold: above it a prediction is a yes; None: the largest of each sample is.
    """

    average: str | None = None
    threshold: Annotated[float | None, _python_float("threshold")] = None

    beta = 1.0
