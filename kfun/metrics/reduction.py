"""Sums and weighted means of values, and means of a function of targets and predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kfun import ops
from kfun.losses._base import masked_weight
from kfun.losses._shapes import as_arrays, divide_no_nan, dtype_of, is_structure, match_ranks, sizes
from kfun.losses.crossentropy import sparse_categorical_crossentropy, valid_labels
from kfun.metrics._base import Metric


class Sum(Metric):
    """The weighted sum of all values."""

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        return self.zeros(total=())

    def update(self, state: dict, values: Any, sample_weight: Any = None) -> dict:
        """Adds `sum(values * sample_weight)`.

        Args:
            values: of any shape.
            sample_weight: a scalar, or an array whose axes belong to the leading axes of the values.
        """
        values, _ = per_sample(values, sample_weight, ops.sum, self.state_dtype)
        return self.added(state, total=ops.sum(values))

    def result(self, state: dict) -> Any:
        return state["total"]

    def __call__(self, values: Any, sample_weight: Any = None) -> Any:
        """The value for one batch alone."""
        return self.result(self.update(self.init(), values, sample_weight))


class Mean(Metric):
    """The weighted mean of all values: of each sample's mean, weighted by the sample's mean weight."""

    def init(self, y_true: Any = None, y_pred: Any = None) -> dict:
        return self.zeros(total=(), count=())

    def update(self, state: dict, values: Any, sample_weight: Any = None) -> dict:
        """Adds `sum(values * sample_weight)` to the total and `sum(sample_weight)` to the count.

        Args:
            values: `[B, ...]`, or a scalar, which counts as one sample.
            sample_weight: a scalar, or an array whose axes belong to the leading axes of the values.
        """
        values, weight = per_sample(values, sample_weight, ops.mean, self.state_dtype)
        return self.added(
            state, total=ops.sum(values), count=ops.sum(ops.ones_like(values) if weight is None else weight)
        )

    def result(self, state: dict) -> Any:
        return divide_no_nan(state["total"], state["count"])

    def __call__(self, values: Any, sample_weight: Any = None) -> Any:
        """The value for one batch alone."""
        return self.result(self.update(self.init(), values, sample_weight))


def per_sample(values: Any, sample_weight: Any, reduce: Callable, dtype: str) -> tuple[Any, Any]:
    """Weighted values and weights, reduced to one per sample.

    Raises:
        ValueError: if the weights fit neither the samples nor the values.
    """
    values, weight = as_arrays(values, sample_weight)
    values = ops.cast(values, dtype)
    if weight is not None:
        values, weight = match_ranks(values, ops.cast(weight, dtype))
        common = len(sizes(weight))
        if len(sizes(values)) > common:
            values = reduce(values, tuple(range(common, len(sizes(values)))))
        if len(sizes(values)) != common or any(
            None not in (v, w) and w not in (v, 1) for v, w in zip(sizes(values), sizes(weight), strict=True)
        ):
            raise ValueError(
                f"sample_weight of shape {sizes(weight)} does not fit values of shape {sizes(values)}; "
                "give one weight per sample, or one per value"
            )
        weight = ops.broadcast_to(weight, ops.shape(values))
        values = ops.multiply(values, weight)
        if common > 1:
            weight = reduce(weight, tuple(range(1, common)))
    if len(sizes(values)) > 1:
        values = reduce(values, tuple(range(1, len(sizes(values)))))
    return values, weight


class MeanOf(Mean):
    """Base of metrics that are the mean of a function: a subclass gives `values(y_true, y_pred)`."""

    uses_mask = True

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """The values of which the metric is the mean, `[B, ...]`."""
        raise TypeError(f"{type(self).__name__} must define values(y_true, y_pred)")

    def valid(self, y_true: Any, y_pred: Any) -> Any:
        """Which of the values count when there are weights (Keras's rule), as bool; None if all do."""
        return None

    def update(self, state: dict, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> dict:
        """Adds the values of one batch.

        Args:
            state: as `init` or `update` made it.
            y_true, y_pred: targets and predictions.
            sample_weight: a scalar, or an array whose axes belong to the leading axes of the values.
            mask: bool, likewise; where False, values do not count.
        """
        y_true, y_pred, sample_weight, mask = as_arrays(y_true, y_pred, sample_weight, mask)
        if not is_structure(y_pred):
            y_pred = _wide(y_pred)
        values = self.values(y_true, y_pred)
        weight = masked_weight(sample_weight, mask, self.state_dtype, average=False)
        if weight is not None:
            weight = masked_weight(weight, self.valid(y_true, y_pred), self.state_dtype, average=False)
        return super().update(state, values, weight)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        """The value for one batch alone."""
        return self.result(self.update(self.init(), y_true, y_pred, sample_weight, mask))


def _wide(y_pred):
    return ops.cast(y_pred, "float32") if dtype_of(y_pred) in ("float16", "bfloat16") else y_pred


class MeanMetricWrapper(MeanOf):
    """The mean of any function of targets and predictions.

    Args:
        fn: `(y_true, y_pred, **kwargs) -> values`; a loss counts as one value per batch.
        kwargs: further arguments of the function.
    """

    fn: Callable
    kwargs: dict = dataclasses.field(default_factory=dict)

    def values(self, y_true, y_pred):
        return self.fn(y_true, y_pred, **self.kwargs)

    def valid(self, y_true, y_pred):
        if self.fn is not sparse_categorical_crossentropy:
            return None
        return valid_labels(y_true, y_pred, self.kwargs.get("ignore_class"), self.kwargs.get("axis", -1))
