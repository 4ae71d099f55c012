"""How often predictions equal the targets. B batch, C classes. Functions give float32 0 or 1 per sample."""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.losses._shapes import as_arrays, dtype_of, fit, labels_of, match_ranks, sizes
from kfun.metrics.reduction import MeanOf


def accuracy(y_true, y_pred):
    """Whether `y_true == y_pred`, elementwise."""
    y_true, y_pred = _same_shape("accuracy", y_true, y_pred)
    return _hits(ops.equal(ops.cast(y_true, dtype_of(y_pred)), y_pred))


def binary_accuracy(y_true, y_pred, threshold: float = 0.5):
    """Whether `y_true == (y_pred > threshold)`, elementwise."""
    y_true, y_pred = _same_shape("binary_accuracy", y_true, y_pred)
    return _hits(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), dtype_of(y_true))))


def categorical_accuracy(y_true, y_pred):
    """Whether the largest prediction is at the largest target: `[B, ..., C]` both."""
    y_true, y_pred = _one_hot_pair("categorical_accuracy", y_true, y_pred)
    return _hits(ops.equal(ops.argmax(y_true, -1), ops.argmax(y_pred, -1)))


def sparse_categorical_accuracy(y_true, y_pred):
    """Whether the largest prediction is at the label: `[B, ...]` or `[B, ..., 1]`, and `[B, ..., C]`."""
    labels, y_pred = labels_of("sparse_categorical_accuracy", y_true, y_pred)
    hits = _hits(ops.equal(labels, ops.argmax(y_pred, -1)))
    return ops.squeeze(hits, -1) if len(sizes(hits)) > 1 and sizes(hits)[-1] == 1 else hits


def top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """Whether the class of the largest target is among the `k` largest predictions, ties included."""
    y_true, y_pred = _one_hot_pair("top_k_categorical_accuracy", y_true, y_pred)
    return _hits(_in_top_k(ops.argmax(y_true, -1), y_pred, k))


def sparse_top_k_categorical_accuracy(y_true, y_pred, k: int = 5, from_sorted_ids: bool = False):
    """Whether the label is among the `k` largest predictions, ties included.

    Args:
        y_true: class numbers, `[B, ...]`.
        y_pred: scores `[B, ..., C]`; or, with `from_sorted_ids`, class numbers, the best first.
        k: how many predictions count.
        from_sorted_ids: what `y_pred` is.
    """
    if not from_sorted_ids:
        return _hits(_in_top_k(*labels_of("sparse_top_k_categorical_accuracy", y_true, y_pred), k))
    y_true, y_pred = as_arrays(y_true, y_pred)
    first = ops.getitem(y_pred, (..., slice(0, k)))
    return _hits(ops.any(ops.equal(ops.expand_dims(ops.cast(y_true, dtype_of(y_pred)), -1), first), -1))


def _in_top_k(labels, y_pred, k):
    # A label out of range, or with prediction NaN, stands at the end.
    classes = ops.one_hot(labels, ops.shape(y_pred)[-1], -1, "int32")
    score = ops.max(ops.where(ops.equal(classes, 1), y_pred, float("-inf")), -1, True)
    score = ops.where(ops.isnan(score), float("-inf"), score)
    return ops.less(ops.sum(ops.cast(ops.greater(y_pred, score), "int32"), -1), k)


def _hits(matches):
    return ops.cast(matches, "float32")


def _same_shape(function, y_true, y_pred):
    y_true, y_pred = match_ranks(*as_arrays(y_true, y_pred))
    if not fit(sizes(y_true), sizes(y_pred)):
        raise ValueError(
            f"{function}: expected y_true and y_pred of one shape; received y_true of shape {sizes(y_true)} "
            f"and y_pred of shape {sizes(y_pred)}"
        )
    return y_true, y_pred


def _one_hot_pair(function, y_true, y_pred):
    y_true, y_pred = as_arrays(y_true, y_pred)
    if not fit(sizes(y_true), sizes(y_pred), broadcast=False):
        raise ValueError(
            f"{function}: expected one-hot y_true of the shape of y_pred {sizes(y_pred)}; received y_true of shape "
            f"{sizes(y_true)}. For integer labels use sparse_{function}"
        )
    return y_true, y_pred


class Accuracy(MeanOf):
    """The share of predictions that equal the targets."""

    def values(self, y_true, y_pred):
        return accuracy(y_true, y_pred)


class BinaryAccuracy(MeanOf):
    """The share of yes-or-no predictions that are right.

    Args:
        threshold: above it a prediction is a yes.
    """

    threshold: float = 0.5

    def values(self, y_true, y_pred):
        return binary_accuracy(y_true, y_pred, self.threshold)


class CategoricalAccuracy(MeanOf):
    """The share of samples whose largest prediction is at the class of a one-hot target."""

    def values(self, y_true, y_pred):
        return categorical_accuracy(y_true, y_pred)


class SparseCategoricalAccuracy(MeanOf):
    """The share of samples whose largest prediction is at the class that the target numbers."""

    def values(self, y_true, y_pred):
        return sparse_categorical_accuracy(y_true, y_pred)


class TopKCategoricalAccuracy(MeanOf):
    """The share of samples with the class of a one-hot target among the `k` largest predictions.

    Args:
        k: how many predictions count.
    """

    k: int = 5

    def values(self, y_true, y_pred):
        return top_k_categorical_accuracy(y_true, y_pred, self.k)


class SparseTopKCategoricalAccuracy(MeanOf):
    """The share of samples with the class that the target numbers among the `k` largest predictions.

    Args:
        k: how many predictions count.
        from_sorted_ids: whether predictions are class numbers, the best first, rather than scores.
    """

    k: int = 5
    from_sorted_ids: bool = False

    def values(self, y_true: Any, y_pred: Any) -> Any:
        return sparse_top_k_categorical_accuracy(y_true, y_pred, self.k, self.from_sorted_ids)
