"""Precision, recall and counts of right and wrong yes-or-no predictions."""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.losses._shapes import divide_no_nan
from kfun.metrics._base import Metric
from kfun.metrics._confusion import LOWEST, confusion, threshold_list


class _ConditionCount(Metric):
    """Base of the four counts; `condition` is which of them."""

    condition = ""

    def check(self):
        threshold_list(self.thresholds, 0.5)

    def points(self) -> tuple[float, ...]:
        """The thresholds."""
        return threshold_list(self.thresholds, 0.5)

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        return self.zeros(accumulator=(len(self.points()),))

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        self.warn_of_cuts(sample_weight)
        counts = confusion(y_true, y_pred, self.points(), sample_weight, dtype=self.working_dtype)
        return self.added(state, accumulator=counts[self.condition])

    def result(self, state: dict) -> Any:
        return one_or_all(state["accumulator"])


def one_or_all(values: Any) -> Any:
    """A scalar for one threshold, else an array."""
    return ops.squeeze(values, 0) if values.shape[0] == 1 else values


class TruePositives(_ConditionCount):
    """The weight of yes predictions of yes labels.

    Args:
        thresholds: in [0, 1], a number or several; above it a prediction is a yes. 0.5 by default.
    """

    thresholds: Any = None

    condition = "true_positives"


class FalsePositives(_ConditionCount):
    """The weight of yes predictions of no labels.

    Args:
        thresholds: in [0, 1], a number or several; above it a prediction is a yes. 0.5 by default.
    """

    thresholds: Any = None

    condition = "false_positives"


class TrueNegatives(_ConditionCount):
    """The weight of no predictions of no labels.

    Args:
        thresholds: in [0, 1], a number or several; above it a prediction is a yes. 0.5 by default.
    """

    thresholds: Any = None

    condition = "true_negatives"


class FalseNegatives(_ConditionCount):
    """The weight of no predictions of yes labels.

    Args:
        thresholds: in [0, 1], a number or several; above it a prediction is a yes. 0.5 by default.
    """

    thresholds: Any = None

    condition = "false_negatives"


class _Ratio(Metric):
    """Base of precision and recall: true positives and what they are divided by, with which `others`."""

    others = ""

    def check(self):
        threshold_list(self.thresholds, 0.5)

    def points(self) -> tuple[float, ...]:
        """The thresholds."""
        return threshold_list(self.thresholds, 0.5 if self.top_k is None else LOWEST)

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        shape = (len(self.points()),)
        return self.zeros(**{"true_positives": shape, self.others: shape})

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        self.warn_of_cuts(sample_weight)
        counts = confusion(
            y_true,
            y_pred,
            self.points(),
            sample_weight,
            dtype=self.working_dtype,
            top_k=self.top_k,
            class_id=self.class_id,
        )
        return self.added(state, **{name: counts[name] for name in state})

    def result(self, state: dict) -> Any:
        right = state["true_positives"]
        return one_or_all(divide_no_nan(right, ops.add(right, state[self.others])))


class Precision(_Ratio):
    """The share of yes predictions that are right.

    Args:
        thresholds: in [0, 1], a number or several; above it a prediction is a yes. 0.5 by default,
            with `top_k` none.
        top_k: only the k largest predictions of each sample may be a yes.
        class_id: the one class that counts.
    """

    thresholds: Any = None
    top_k: int | None = None
    class_id: int | None = None

    others = "false_positives"


class Recall(_Ratio):
    """The share of yes labels that are found.

    Args:
        thresholds: in [0, 1], a number or several; above it a prediction is a yes. 0.5 by default,
            with `top_k` none.
        top_k: only the k largest predictions of each sample may be a yes.
        class_id: the one class that counts.
    """

    thresholds: Any = None
    top_k: int | None = None
    class_id: int | None = None

    others = "false_negatives"


class _AtConstraint(Metric):
    """Base of the best value of one ratio where another is at least a bound; `bound` names the field."""

    bound = ""

    def check(self):
        value = getattr(self, self.bound)
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__}: expected {self.bound} in [0, 1]; received {value}")
        if self.num_thresholds < 1:
            raise ValueError(
                f"{type(self).__name__}: expected num_thresholds of at least 1. Received: {self.num_thresholds}"
            )

    def points(self) -> tuple[float, ...]:
        """The thresholds."""
        n = self.num_thresholds
        return (0.5,) if n == 1 else (0.0, *((i + 1) / (n - 1) for i in range(n - 2)), 1.0)

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        shape = (len(self.points()),)
        return self.zeros(true_positives=shape, false_positives=shape, true_negatives=shape, false_negatives=shape)

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        self.warn_of_cuts(sample_weight)
        counts = confusion(
            y_true, y_pred, self.points(), sample_weight, dtype=self.working_dtype, class_id=self.class_id
        )
        return self.added(state, **counts)

    def ratios(self, state: dict) -> dict[str, Any]:
        """Precision, recall (sensitivity) and specificity at each threshold."""
        tp, fp, tn, fn = (state[f"{t}_{p}"] for p, t in _CELLS)
        found = divide_no_nan(tp, ops.add(tp, fn))
        return {
            "precision": divide_no_nan(tp, ops.add(tp, fp)),
            "recall": found,
            "sensitivity": found,
            "specificity": divide_no_nan(tn, ops.add(tn, fp)),
        }

    def result(self, state: dict) -> Any:
        ratios = self.ratios(state)
        feasible = ops.greater_equal(ratios[self.bound], getattr(self, self.bound))
        return ops.max(ops.where(feasible, ratios[self.best], 0.0))


_CELLS = (("positives", "true"), ("positives", "false"), ("negatives", "true"), ("negatives", "false"))


class SensitivityAtSpecificity(_AtConstraint):
    """The best sensitivity (recall) at a threshold where the specificity is high enough.

    Args:
        specificity: in [0, 1].
        num_thresholds: how many thresholds are tried.
        class_id: the one class that counts.
    """

    specificity: float
    num_thresholds: int = 200
    class_id: int | None = None

    bound, best = "specificity", "sensitivity"


class SpecificityAtSensitivity(_AtConstraint):
    """The best specificity at a threshold where the sensitivity (recall) is high enough.

    Args:
        sensitivity: in [0, 1].
        num_thresholds: how many thresholds are tried.
        class_id: the one class that counts.
    """

    sensitivity: float
    num_thresholds: int = 200
    class_id: int | None = None

    bound, best = "sensitivity", "specificity"


class PrecisionAtRecall(_AtConstraint):
    """The best precision at a threshold where the recall is high enough.

    Args:
        recall: in [0, 1].
        num_thresholds: how many thresholds are tried.
        class_id: the one class that counts.
    """

    recall: float
    num_thresholds: int = 200
    class_id: int | None = None

    bound, best = "recall", "precision"


class RecallAtPrecision(_AtConstraint):
    """The best recall at a threshold where the precision is high enough.

    Args:
        precision: in [0, 1].
        num_thresholds: how many thresholds are tried.
        class_id: the one class that counts.
    """

    precision: float
    num_thresholds: int = 200
    class_id: int | None = None

    bound, best = "precision", "recall"
