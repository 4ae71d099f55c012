"""Cross-entropies of labels and predicted probabilities or logits. B batch, C classes.

Probabilities are kept within [1e-7, 1 - 1e-7]; logits go through `log_softmax` and `log_sigmoid`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from kfun import ops
from kfun.losses._base import Loss
from kfun.losses._shapes import EPSILON, as_arrays, labels_of, pair, sizes


def binary_crossentropy(y_true, y_pred, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1):
    """`-mean(y_true * log(y_pred) + (1 - y_true) * log(1 - y_pred))`.

    Args:
        y_true: in [0, 1], of the shape of `y_pred`.
        y_pred: probabilities, or logits if `from_logits`.
        from_logits: whether `y_pred` are logits.
        label_smoothing: in [0, 1]: how far labels are drawn towards 0.5.
        axis: what the mean is over.

    Raises:
        ValueError: if the shapes differ.
    """
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred, broadcast=False)
    return ops.mean(ops.binary_crossentropy(_smoothed(y_true, label_smoothing, 2), y_pred, from_logits), axis)


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
):
    """Binary cross-entropy times `(1 - p) ** gamma`, p the probability of the label (arXiv:1708.02002).

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: as in `binary_crossentropy`.
        apply_class_balancing: whether to weigh label 1 by `alpha` and label 0 by `1 - alpha`.
        alpha: in [0, 1].
        gamma: at least 0; 0 is `binary_crossentropy`.
    """
    y_true, y_pred = pair("binary_focal_crossentropy", y_true, y_pred, broadcast=False)
    y_true = _smoothed(y_true, label_smoothing, 2)
    y_pred = ops.sigmoid(y_pred) if from_logits else y_pred
    y_false = ops.subtract(1.0, y_true)
    p = ops.add(ops.multiply(y_true, y_pred), ops.multiply(y_false, ops.subtract(1.0, y_pred)))
    focal = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), ops.binary_crossentropy(y_true, y_pred))
    if apply_class_balancing:
        focal = ops.multiply(ops.add(ops.multiply(alpha, y_true), ops.multiply(1.0 - alpha, y_false)), focal)
    return ops.mean(focal, axis)


def categorical_crossentropy(y_true, y_pred, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1):
    """`-sum(y_true * log(y_pred))` for one-hot targets.

    Args:
        y_true: a distribution over the classes, `[B, ..., C]`.
        y_pred: probabilities, scaled to sum 1, or logits if `from_logits`.
        from_logits: whether `y_pred` are logits.
        label_smoothing: in [0, 1]: the share of each target that is spread evenly over the classes
            (the size of the last axis, whatever `axis`: Keras's numbers).
        axis: the axis of the classes.

    Raises:
        ValueError: if the shapes differ, or the targets look like class numbers.
    """
    y_true, y_pred = _one_hot_pair("categorical_crossentropy", y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, ops.shape(y_true)[-1])
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def categorical_focal_crossentropy(
    y_true,
    y_pred,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
):
    """`-sum(alpha * (1 - p) ** gamma * y_true * log(p))`, p the predicted probabilities (arXiv:1708.02002).

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: as in `categorical_crossentropy`.
        alpha: a number, or one weight per class.
        gamma: at least 0.
    """
    y_true, y_pred = _one_hot_pair("categorical_focal_crossentropy", y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, ops.shape(y_true)[-1])
    p = _probability(ops.softmax(y_pred, axis) if from_logits else y_pred, axis)
    weight = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), alpha)
    return ops.negative(ops.sum(ops.multiply(weight, ops.multiply(y_true, ops.log(p))), axis))


def sparse_categorical_crossentropy(
    y_true, y_pred, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
):
    """`-log(y_pred[label])` for class numbers.

    Args:
        y_true: class numbers, of the shape of `y_pred` without `axis`, or with size 1 there.
        y_pred: probabilities, scaled to sum 1, or logits if `from_logits`.
        from_logits: whether `y_pred` are logits.
        ignore_class: a label whose loss is 0 (and that `SparseCategoricalCrossentropy` leaves out of
            the mean).
        axis: the axis of the classes.

    Raises:
        ValueError: if the shapes do not fit, or the targets look one-hot.
    """
    labels, y_pred = labels_of("sparse_categorical_crossentropy", y_true, y_pred, axis)
    valid = None
    if ignore_class is not None:
        valid = ops.not_equal(labels, ignore_class)
        labels = ops.where(valid, labels, 0)
        # Any probabilities do where the loss is not used, if only they are not all 0.
        y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 1.0)
    values = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits, axis)
    return values if valid is None else ops.where(valid, values, 0.0)


def _probability(y_pred, axis):
    return ops.clip(ops.divide(y_pred, ops.sum(y_pred, axis, True)), EPSILON, 1.0 - EPSILON)


def _smoothed(y_true, label_smoothing, classes):
    if not label_smoothing:
        return y_true
    share = label_smoothing / classes if isinstance(classes, int) else ops.divide(label_smoothing, classes)
    return ops.add(ops.multiply(y_true, 1.0 - label_smoothing), share)


def _one_hot_pair(function, y_true, y_pred):
    y_true, y_pred = as_arrays(y_true, y_pred)
    true, pred = sizes(y_true), sizes(y_pred)
    if (pred and len(true) < len(pred)) or (true[-1:] == (1,) and pred[-1:] not in ((1,), (None,))):
        raise ValueError(
            f"{function}: y_true (one-hot) and y_pred must have the same shape; received {true} and {pred}. "
            "For integer labels use sparse_categorical_crossentropy, or make them one-hot with ops.one_hot"
        )
    if pred[-1:] == (1,):
        warnings.warn(
            f"{function}: y_pred of shape {pred} has one class, which always has probability 1; "
            "use binary_crossentropy for two classes",
            SyntaxWarning,
            stacklevel=4,
        )
    return pair(function, y_true, y_pred, broadcast=False)


class BinaryCrossentropy(Loss):
    """Cross-entropy of yes-or-no labels, `binary_crossentropy`.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: in [0, 1]: how far labels are drawn towards 0.5.
        axis: what the mean is over.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def call(self, y_true, y_pred):
        return binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)


class BinaryFocalCrossentropy(Loss):
    """Cross-entropy of yes-or-no labels that heeds easy samples less, `binary_focal_crossentropy`.

    Args:
        apply_class_balancing: whether to weigh label 1 by `alpha` and label 0 by `1 - alpha`.
        alpha: in [0, 1].
        gamma: how much less easy samples count.
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: in [0, 1]: how far labels are drawn towards 0.5.
        axis: what the mean is over.
    """

    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def call(self, y_true, y_pred):
        return binary_focal_crossentropy(
            y_true,
            y_pred,
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )


class CategoricalCrossentropy(Loss):
    """Cross-entropy of one-hot targets, `categorical_crossentropy`.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: in [0, 1]: the share of each target that is spread over all classes.
        axis: the axis of the classes.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def call(self, y_true, y_pred):
        return categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)


class CategoricalFocalCrossentropy(Loss):
    """Cross-entropy of one-hot targets that heeds easy samples less, `categorical_focal_crossentropy`.

    Args:
        alpha: a number, or one weight per class.
        gamma: how much less easy samples count.
        from_logits: whether predictions are logits rather than probabilities.
        label_smoothing: in [0, 1]: the share of each target that is spread over all classes.
        axis: the axis of the classes.
    """

    alpha: Any = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def call(self, y_true, y_pred):
        return categorical_focal_crossentropy(
            y_true, y_pred, self.alpha, self.gamma, self.from_logits, self.label_smoothing, self.axis
        )


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class numbers, `sparse_categorical_crossentropy`.

    Args:
        from_logits: whether predictions are logits rather than probabilities.
        ignore_class: a label that does not count, or None.
        axis: the axis of the classes.
    """

    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1

    integer_labels = True

    def call(self, y_true, y_pred):
        return sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class, self.axis)

    def valid(self, y_true, y_pred, values):
        return valid_labels(y_true, y_pred, self.ignore_class, self.axis)

    def check_targets(self, y_true, y_pred):
        _check_labels(y_true, y_pred, self.from_logits, self.ignore_class, self.axis)


def _check_labels(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """Raises ValueError unless class numbers are in the range of the predictions' classes."""
    classes = y_pred.shape[axis]
    labels = np.asarray(y_true)
    if ignore_class is not None:
        labels = labels[labels != ignore_class]
    if classes is None or not labels.size:
        return
    low, high = labels.min(), labels.max()
    if low < 0 or high >= classes:
        wrong, fix = (high, f"give the last layer {int(high) + 1} units") if low >= 0 else (low, "shift them")
        raise ValueError(
            f"sparse_categorical_crossentropy: received the label {wrong}, but the predictions have {classes} classes, "
            f"so labels go from 0 to {classes - 1}. Map the labels to that range, {fix}, or leave one out "
            f"with SparseCategoricalCrossentropy(ignore_class={wrong})"
        )


sparse_categorical_crossentropy.check_targets = _check_labels  # type: ignore[attr-defined]


def valid_labels(y_true, y_pred, ignore_class: int | None, axis: int = -1):
    """Where the labels differ from `ignore_class`, of the shape of the loss's values; None if it is None."""
    if ignore_class is None:
        return None
    return ops.not_equal(labels_of("sparse_categorical_crossentropy", y_true, y_pred, axis)[0], ignore_class)
