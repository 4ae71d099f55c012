"""Areas under curves. K thresholds, L labels."""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.losses._shapes import EPSILON, divide_no_nan
from kfun.metrics._base import Metric
from kfun.metrics._confusion import confusion
from kfun.metrics.regression import outputs_of

CURVES = ("ROC", "PR", "PRGAIN")
METHODS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """The area under the ROC, precision-recall or precision-recall-gain curve, by a Riemann sum.

    Args:
        num_thresholds: how many points the curve has; the number of `thresholds` and 2, if they are given.
        curve: `"ROC"`, `"PR"` or `"PRGAIN"` (Flach & Kull 2015).
        summation_method: `"interpolation"` (for PR that of Davis & Goadrich 2006), `"minoring"` for
            rectangles below the curve, `"majoring"` for rectangles above.
        thresholds: points in [0, 1], besides the two ends.
        multi_label: whether to average the areas of the L labels, rather than to take all labels as one.
        num_labels: L, for `multi_label`; else `init` needs the spec of the predictions.
        label_weights: a weight per label: of its area with `multi_label`, else of its samples.
        from_logits: whether predictions are logits rather than probabilities.
    """

    num_thresholds: int | None = 200
    curve: str = "ROC"
    summation_method: str = "interpolation"
    thresholds: Any = None
    multi_label: bool = False
    num_labels: int | None = None
    label_weights: Any = None
    from_logits: bool = False

    def check(self):
        if self.curve.upper() not in CURVES:
            raise ValueError(f"AUC: unknown curve {self.curve!r}; expected one of {CURVES}")
        if self.summation_method.lower() not in METHODS:
            raise ValueError(f"AUC: unknown summation_method {self.summation_method!r}; expected one of {METHODS}")
        if self.thresholds is None and (self.num_thresholds is None or self.num_thresholds < 2):
            raise ValueError(f"AUC: expected num_thresholds of at least 2; received {self.num_thresholds}")
        if self.num_labels and not self.multi_label:
            raise ValueError(f"AUC: num_labels={self.num_labels} is for multi_label=True")

    def points(self) -> tuple[float, ...]:
        """The thresholds, from just below 0 to just above 1."""
        n = self.num_thresholds or 0
        inner = [(i + 1) / (n - 1) for i in range(n - 2)] if self.thresholds is None else sorted(self.thresholds)
        return (-EPSILON, *inner, 1.0 + EPSILON)

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        shape: tuple[int, ...] = (len(self.points()),)
        if self.multi_label:
            shape += (self.num_labels or outputs_of(self, y_pred),)
        return self.zeros(true_positives=shape, false_positives=shape, true_negatives=shape, false_negatives=shape)

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        self.warn_of_cuts(sample_weight)
        counts = confusion(
            y_true,
            ops.sigmoid(y_pred) if self.from_logits else y_pred,
            self.points(),
            sample_weight,
            dtype=self.working_dtype,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        return self.added(state, **counts)

    def result(self, state: dict) -> Any:
        interpolate = self.summation_method.lower() == "interpolation"
        if self.curve.upper() == "PR" and interpolate:
            areas = _interpolated_precision(state)
        else:
            x, y = _curve(state, self.curve.upper())
            left, right = _ends(y)
            if interpolate:
                height = ops.divide(ops.add(left, right), 2.0)
            else:
                height = (ops.minimum if self.summation_method.lower() == "minoring" else ops.maximum)(left, right)
            areas = ops.multiply(ops.subtract(*_ends(x)), height)
        if not self.multi_label:
            return ops.sum(areas)
        area = ops.sum(areas, 0)  # [L]
        if self.label_weights is None:
            return ops.mean(area)
        weights = ops.add(ops.zeros_like(area), list(self.label_weights))
        return divide_no_nan(ops.sum(ops.multiply(area, weights)), ops.sum(weights))


def _ends(values):
    """The values at the left and at the right end of each of the K - 1 intervals."""
    return ops.getitem(values, slice(0, -1)), ops.getitem(values, slice(1, None))


def _curve(state, curve):
    tp, fp = state["true_positives"], state["false_positives"]
    tn, fn = state["true_negatives"], state["false_negatives"]
    if curve == "ROC":
        return divide_no_nan(fp, ops.add(fp, tn)), divide_no_nan(tp, ops.add(tp, fn))
    if curve == "PR":
        return divide_no_nan(tp, ops.add(tp, fn)), divide_no_nan(tp, ops.add(tp, fp))
    odds = divide_no_nan(ops.add(tp, fn), ops.add(tn, fp))
    recall, precision = (ops.subtract(1.0, ops.multiply(odds, divide_no_nan(wrong, tp))) for wrong in (fn, fp))
    none = ops.equal(tp, 0.0)
    return ops.maximum(ops.where(none, 0.0, recall), 0.0), ops.where(none, 1.0, precision)


def _interpolated_precision(state):
    """The area in each interval if true positives grow linearly with all positives (Davis & Goadrich 2006).

    With `TP = a + b P` the precision `TP / P` integrates over the true positives, and so over the
    recall, to `b (dTP + a log(P1 / P0))`.
    """
    tp, fn = state["true_positives"], state["false_negatives"]
    p = ops.add(tp, state["false_positives"])
    (tp1, tp0), (p1, p0) = _ends(tp), _ends(p)
    slope = divide_no_nan(ops.subtract(tp1, tp0), ops.maximum(ops.subtract(p1, p0), 0.0))
    intercept = ops.subtract(tp0, ops.multiply(slope, p0))
    known = ops.logical_and(ops.greater(p1, 0.0), ops.greater(p0, 0.0))
    ratio = ops.where(known, divide_no_nan(p1, ops.maximum(p0, 0.0)), 1.0)
    area = ops.multiply(slope, ops.add(ops.subtract(tp1, tp0), ops.multiply(intercept, ops.log(ratio))))
    return divide_no_nan(area, ops.maximum(ops.add(tp0, _ends(fn)[1]), 0.0))
