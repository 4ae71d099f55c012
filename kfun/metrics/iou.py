"""Intersection over union of predicted and true regions, from one confusion matrix. C classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun import dtypes, ops
from kfun.losses._shapes import EPSILON, as_arrays, dtype_of, sizes
from kfun.metrics._base import Metric


class _IoUBase(Metric):
    """What the family shares; a class of it says the rest by fields, or by attributes as here."""

    ignore_class = None
    sparse_y_true = True
    sparse_y_pred = True
    axis = -1

    def check(self):
        targets = self.targets()
        wrong = not isinstance(targets, range) and [i for i in targets if not 0 <= i < self.num_classes]
        if wrong or not targets:
            raise ValueError(
                f"{type(self).__name__}: expected target_class_ids in [0, {self.num_classes}); "
                f"received {self.targets()}"
            )

    def targets(self) -> tuple[int, ...]:
        """The classes whose ratios are averaged."""
        return tuple(self.target_class_ids)

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        return self.zeros(total_confusion_matrix=(self.num_classes, self.num_classes))

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """Counts each pair of classes.

        Args:
            y_true, y_pred: class numbers, or scores of which the largest along `axis` counts.
            sample_weight: a scalar, one weight per place, or per row of places. Keras's matrix is int32, so that
                it cuts 0.3 to 0; this one is float32, unless `dtype` is an integer type.
        """
        y_true, y_pred, weight = as_arrays(y_true, y_pred, 1 if sample_weight is None else sample_weight)
        self.warn_of_cuts(sample_weight)
        y_true = y_true if self.sparse_y_true else ops.argmax(y_true, self.axis)
        y_pred = y_pred if self.sparse_y_pred else ops.argmax(y_pred, self.axis)
        # Whole weights are added in integers, which are exact where a float32 stays at 2^24.
        weight = ops.cast(weight, self.state_dtype if dtypes.is_float(dtype_of(weight)) else "int32")
        if 0 < len(sizes(weight)) < len(sizes(y_true)) and sizes(weight)[0] == sizes(y_true)[0]:
            each = ops.reshape(weight, ops.shape(weight) + (1,) * (len(sizes(y_true)) - len(sizes(weight))))
            weight = ops.broadcast_to(each, ops.shape(y_true))
        y_true, y_pred = (ops.ravel(ops.cast(y, "int32")) for y in (y_true, y_pred))
        weight = ops.broadcast_to(ops.ravel(weight) if sizes(weight) else weight, ops.shape(y_true))
        return self.added(state, total_confusion_matrix=self._matrix(y_true, y_pred, weight))

    def _matrix(self, y_true, y_pred, weight):
        n = self.num_classes
        counts = ops.logical_and(_within(y_true, n), _within(y_pred, n))
        if self.ignore_class is not None:
            counts = ops.logical_and(counts, ops.not_equal(y_true, self.ignore_class))
        place = ops.where(counts, ops.add(ops.multiply(y_true, n), y_pred), 0)
        return ops.reshape(ops.segment_sum(ops.where(counts, weight, 0), place, n * n), (n, n))

    def result(self, state: dict) -> Any:
        matrix = state["total_confusion_matrix"]
        chosen = np.eye(self.num_classes, dtype="int32")[list(self.targets())]  # [targets, C]
        both = ops.sum(ops.multiply(matrix, np.eye(self.num_classes, dtype="int32")), 0)
        either = ops.subtract(ops.add(ops.sum(matrix, 0), ops.sum(matrix, 1)), both)
        both, either = (ops.sum(ops.multiply(ops.cast(x, "float32"), chosen), 1) for x in (both, either))
        known = ops.greater(either, 1e-9)
        ratio = ops.where(known, ops.divide(both, ops.add(either, EPSILON)), 0.0)
        return ops.divide(ops.sum(ratio), ops.add(ops.sum(ops.cast(known, "float32")), EPSILON))


def _within(labels, n):
    return ops.logical_and(ops.greater_equal(labels, 0), ops.less(labels, n))


class IoU(_IoUBase):
    """The mean of intersection over union of some classes; classes that do not occur do not count.

    Args:
        num_classes: C.
        target_class_ids: the classes that are averaged.
        ignore_class: a label whose places do not count, or None.
        sparse_y_true: whether targets are class numbers rather than one-hot along `axis`.
        sparse_y_pred: whether predictions are class numbers rather than scores along `axis`.
        axis: the axis of the classes.
    """

    num_classes: int
    target_class_ids: Any
    ignore_class: int | None = None
    sparse_y_true: bool = True
    sparse_y_pred: bool = True
    axis: int = -1


class MeanIoU(_IoUBase):
    """The mean of intersection over union of all classes; classes that do not occur do not count.

    Args:
        num_classes: C.
        ignore_class: a label whose places do not count, or None.
        sparse_y_true: whether targets are class numbers rather than one-hot along `axis`.
        sparse_y_pred: whether predictions are class numbers rather than scores along `axis`.
        axis: the axis of the classes.
    """

    num_classes: int
    ignore_class: int | None = None
    sparse_y_true: bool = True
    sparse_y_pred: bool = True
    axis: int = -1

    def targets(self):
        return range(self.num_classes)


class BinaryIoU(_IoUBase):
    """The mean of intersection over union of the places below and above a threshold.

    Args:
        target_class_ids: `(0,)`, `(1,)` or both.
        threshold: from it on a prediction is of class 1.
    """

    target_class_ids: Any = (0, 1)
    threshold: float = 0.5

    num_classes = 2

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        y_true, y_pred, sample_weight = as_arrays(y_true, y_pred, sample_weight)
        return super().update(state, y_true, ops.greater_equal(y_pred, self.threshold), sample_weight)


class OneHotIoU(_IoUBase):
    """`IoU` of one-hot targets.

    Args:
        num_classes: C.
        target_class_ids: the classes that are averaged.
        ignore_class: a label whose places do not count, or None.
        sparse_y_pred: whether predictions are class numbers rather than scores along `axis`.
        axis: the axis of the classes.
    """

    num_classes: int
    target_class_ids: Any
    ignore_class: int | None = None
    sparse_y_pred: bool = False
    axis: int = -1

    sparse_y_true = False


class OneHotMeanIoU(_IoUBase):
    """`MeanIoU` of one-hot targets.

    Args:
        num_classes: C.
        ignore_class: a label whose places do not count, or None.
        sparse_y_pred: whether predictions are class numbers rather than scores along `axis`.
        axis: the axis of the classes.
    """

    num_classes: int
    ignore_class: int | None = None
    sparse_y_pred: bool = False
    axis: int = -1

    sparse_y_true = False

    def targets(self):
        return range(self.num_classes)
