"""Counts of true and false positives and negatives at thresholds. B batch, L labels, K thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun import ops
from kfun.losses._shapes import EPSILON, as_arrays, dtype_of, match_ranks, sizes

LOWEST = -1e10  # the score of what is not among the top k, and the threshold that lets the top k pass


def threshold_list(thresholds: Any, default: float) -> tuple[float, ...]:
    """One threshold, several, or the default, as a tuple.

    Raises:
        ValueError: if one is not in [0, 1].
    """
    if thresholds is None:
        return (default,)
    listed = tuple(thresholds) if isinstance(thresholds, (list, tuple)) else (thresholds,)
    wrong = [t for t in listed if t is None or not 0 <= t <= 1]
    if wrong or not listed:
        raise ValueError(f"expected thresholds in [0, 1]; received {wrong or thresholds}")
    return listed


def are_even(thresholds: tuple[float, ...]) -> bool:
    """Whether thresholds divide [0, 1] evenly, so that a prediction's place among them is computed."""
    if len(thresholds) < 3:
        return False
    even = np.arange(len(thresholds), dtype=np.float32) / (len(thresholds) - 1)
    return bool(np.allclose(thresholds, even, atol=EPSILON))


def confusion(
    y_true: Any,
    y_pred: Any,
    thresholds: tuple[float, ...],
    sample_weight: Any = None,
    *,
    dtype: str = "float32",
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: tuple[float, ...] | None = None,
) -> dict[str, Any]:
    """Weighted counts at each threshold; a prediction above a threshold is a yes.

    Args:
        y_true: yes (not 0) or no (0), `[B]` or `[B, ..., L]`.
        y_pred: scores, alike.
        thresholds: K ascending numbers.
        sample_weight: a scalar, or an array whose axes belong to the leading axes of `y_pred`.
        dtype: of the counts.
        top_k: only the k largest scores of each sample may be a yes.
        class_id: the one column that counts.
        multi_label: whether to count per label.
        label_weights: a factor per label.

    Returns:
        `true_positives`, `false_positives`, `true_negatives`, `false_negatives`: `[K]`, or `[K, L]`
        with `multi_label`.

    Raises:
        ValueError: if shapes do not match.
    """
    y_true, y_pred, sample_weight = as_arrays(y_true, y_pred, sample_weight)
    y_true, y_pred = match_ranks(ops.cast(y_true, dtype), ops.cast(y_pred, dtype))
    if sizes(y_true) != sizes(y_pred) and None not in sizes(y_true) + sizes(y_pred):
        raise ValueError(
            f"expected y_true and y_pred of one shape; received y_true of shape {sizes(y_true)} and y_pred of shape "
            f"{sizes(y_pred)}. Class numbers are made one-hot with ops.one_hot"
        )
    y_pred = y_pred if top_k is None else _only_top(y_pred, top_k)
    if class_id is not None:
        if len(sizes(y_pred)) < 2:
            raise ValueError(
                f"class_id picks a column of y_pred, which must have two axes; received y_pred of shape {sizes(y_pred)}"
            )
        column = (..., slice(class_id, class_id + 1 or None))
        y_true, y_pred = ops.getitem(y_true, column), ops.getitem(y_pred, column)
    weights = _weights(y_pred, sample_weight, label_weights, dtype)
    positive = ops.cast(ops.cast(y_true, "bool"), dtype)
    negative = ops.subtract(1.0, positive)
    if weights is not None:
        positive, negative = ops.multiply(positive, weights), ops.multiply(negative, weights)
    if multi_label:
        if len(sizes(y_pred)) != 2:
            raise ValueError(f"multi_label needs y_pred of shape [B, L]; received shape {sizes(y_pred)}")
    else:
        y_pred, positive, negative = (ops.reshape(x, (-1, 1)) for x in (y_pred, positive, negative))
    above = _above_even if are_even(thresholds) else _above
    true_positives, false_positives = (above(y_pred, x, thresholds) for x in (positive, negative))  # [K, L]
    counts = {
        "true_positives": true_positives,
        "false_positives": false_positives,
        "true_negatives": ops.subtract(ops.sum(negative, 0), false_positives),
        "false_negatives": ops.subtract(ops.sum(positive, 0), true_positives),
    }
    return counts if multi_label else {name: ops.squeeze(count, 1) for name, count in counts.items()}


def _only_top(y_pred, k):
    indices = ops.top_k(y_pred, k)[1]  # [..., k]
    top = ops.sum(ops.one_hot(indices, ops.shape(y_pred)[-1], -1, dtype_of(y_pred)), -2)
    return ops.add(ops.multiply(y_pred, top), ops.multiply(LOWEST, ops.subtract(1.0, top)))


def _weights(y_pred, sample_weight, label_weights, dtype):
    """A weight per prediction; None if all are 1."""
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, dtype)
        received = sizes(sample_weight)
        while len(sizes(sample_weight)) < len(sizes(y_pred)):
            sample_weight = ops.expand_dims(sample_weight, -1)
        while len(sizes(sample_weight)) > len(sizes(y_pred)) and sizes(sample_weight)[-1] == 1:
            sample_weight = ops.squeeze(sample_weight, -1)
        given, wanted = sizes(sample_weight), sizes(y_pred)
        if len(given) != len(wanted) or any(
            None not in (a, b) and a not in (b, 1) for a, b in zip(given, wanted, strict=True)
        ):
            raise ValueError(f"sample_weight of shape {received} does not fit y_pred of shape {sizes(y_pred)}")
        sample_weight = ops.broadcast_to(sample_weight, ops.shape(y_pred))
    if label_weights is None:
        return sample_weight
    labels = np.asarray(label_weights, dtype)
    return ops.multiply(ops.ones_like(y_pred) if sample_weight is None else sample_weight, labels)


def _above(y_pred, amounts, thresholds):
    """Sums of `amounts` `[N, L]` over the predictions above each threshold: `[K, L]`."""
    limits = np.asarray(thresholds, dtype_of(y_pred))[:, None, None]
    return ops.sum(ops.where(ops.greater(ops.expand_dims(y_pred, 0), limits), amounts, 0.0), 1)


def _above_even(y_pred, amounts, thresholds):
    """Like `_above` for even thresholds: adds into buckets, so that memory does not grow with K."""
    steps, labels = len(thresholds), int(sizes(y_pred)[1] or 0)
    # A prediction in bucket b is above the thresholds 0 to b; -1 is above none.
    bucket = ops.subtract(ops.ceil(ops.multiply(ops.clip(y_pred, 0.0, 1.0), float(steps - 1))), 1.0)
    if thresholds[0] < 0 or thresholds[-1] > 1:
        bucket = ops.relu(bucket)
    bucket = ops.add(ops.cast(bucket, "int32"), 1)
    segment = ops.add(ops.multiply(bucket, labels), np.arange(labels, dtype="int32"))
    counts = ops.segment_sum(ops.ravel(amounts), ops.ravel(segment), (steps + 1) * labels)
    counts = ops.getitem(ops.reshape(counts, (steps + 1, labels)), slice(1, None))
    return ops.flip(ops.cumsum(ops.flip(counts, 0), 0), 0)
