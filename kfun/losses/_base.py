"""`Loss`: an immutable definition, called as `loss(y_true, y_pred, sample_weight=None, mask=None)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kfun import dtypes, ops
from kfun.losses._named import Named
from kfun.losses._shapes import (
    as_arrays,
    divide_no_nan,
    dtype_of,
    fit,
    leaves,
    map_structure,
    match_ranks,
    sizes,
)

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Named):
    """Base of losses: a subclass gives `call(y_true, y_pred)`, the values per sample.

    Args:
        reduction: what becomes of the values. `"sum_over_batch_size"` and `"mean"` divide their
            weighted sum by their number (by the number of unmasked ones, if there is a mask),
            `"mean_with_sample_weight"` by the sum of the weights, `"sum"` by nothing;
            `"none"` and None give the weighted values.
        name: what logs call it.
        dtype: the type it computes in; None means the type of the predictions, at least float32.

    Example:
        >>> from kfun import losses, ops
        >>> class Cubic(losses.Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.mean(ops.abs(ops.power(ops.subtract(y_true, y_pred), 3)), -1)
        >>> float(Cubic(reduction="sum")([[0.0], [1.0]], [[2.0], [1.0]]))
        8.0
    """

    reduction: str | None = dataclasses.field(default="sum_over_batch_size", kw_only=True)

    integer_labels = False  # whether y_true holds class numbers, which a cast to float could round
    pools_rows = False  # whether a value draws on several rows of a batch

    def check(self) -> None:
        if self.reduction not in REDUCTIONS:
            raise ValueError(
                f"{type(self).__name__}: unknown reduction {self.reduction!r}; expected one of {REDUCTIONS}"
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values of the loss, not reduced: usually one per sample, over the last axis."""
        raise TypeError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def valid(self, y_true: Any, y_pred: Any, values: Any) -> Any:
        """Which of the values count, as bool; None if all do."""
        return None

    def check_targets(self, y_true: Any, y_pred: Any) -> None:
        """Looks at the numbers of targets, which a compiled step cannot do; drivers call it on host data.

        Args:
            y_true: a NumPy array.
            y_pred: predictions for it, or their specs.

        Raises:
            ValueError: if they are no targets of this loss.
        """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        """The reduced loss.

        Args:
            y_true: targets, an array or a structure of arrays.
            y_pred: predictions, likewise.
            sample_weight: a factor per value: a scalar, or of shape `[B]`, or of the shape of the values.
            mask: bool like the values; where False a value does not count.

        Returns:
            A scalar, or the weighted values if `reduction` is none.

        Raises:
            ValueError: if shapes do not match.
        """
        y_true, y_pred, sample_weight, mask = as_arrays(y_true, y_pred, sample_weight, mask)
        dtype = self.dtype or dtypes.inexact(*(dtypes.promote("float32", dtype_of(x)) for x in leaves(y_pred)))
        y_pred = map_structure(lambda x: ops.cast(x, dtype), y_pred)
        if not self.integer_labels:
            y_true = map_structure(lambda x: ops.cast(x, dtype), y_true)
        values = ops.cast(self.call(y_true, y_pred), dtype)
        own = self.valid(y_true, y_pred, values)
        if own is not None:
            mask = own if mask is None else ops.logical_and(mask, own)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction)


class LossFunctionWrapper(Loss):
    """A loss made of a function.

    Args:
        fn: `(y_true, y_pred, **kwargs) -> values`.
        kwargs: further arguments of the function.
        integer_labels: whether the function is given targets in the type that they come in, else in that of the
            predictions.
    """

    fn: Callable
    kwargs: dict = dataclasses.field(default_factory=dict)
    integer_labels: bool = dataclasses.field(default=False, kw_only=True)

    def call(self, y_true, y_pred):
        if not isinstance(y_pred, (dict, list, tuple)):
            y_true, y_pred = match_ranks(y_true, y_pred)
        return self.fn(y_true, y_pred, **self.kwargs)

    def check_targets(self, y_true, y_pred):
        check = getattr(self.fn, "check_targets", None)
        if check is not None:
            check(y_true, y_pred, **self.kwargs)


def reduce_weighted_values(values: Any, sample_weight: Any = None, mask: Any = None, reduction: str | None = "mean"):
    """Applies weights and a mask to a loss's values and reduces them as `Loss.reduction` says.

    Weights or a mask with fewer axes than the values belong to their leading axes.

    Raises:
        ValueError: if the weights do not fit the values.
    """
    values, sample_weight, mask = as_arrays(values, sample_weight, mask)
    weight = masked_weight(sample_weight, mask, dtype_of(values), average=reduction in ("mean", "sum_over_batch_size"))
    if weight is not None:
        weight = ops.cast(weight, dtype_of(values))
        values, weight = _aligned(values, weight, "sample_weight" if mask is None else "sample_weight or mask")
        values = ops.multiply(values, weight)
    if reduction in (None, "none") or sizes(values) in ((), (0,)):
        return values
    if reduction == "sum" or 0 in sizes(values):
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        return divide_no_nan(ops.sum(values), ops.sum(weight))
    return ops.mean(values)


def masked_weight(sample_weight: Any, mask: Any, dtype: str, *, average: bool) -> Any:
    """The weights with 0 where the mask is False; None if there are neither.

    With `average` the others grow by the ratio of all to unmasked places, so that a mean over all
    is a mean over the unmasked.
    """
    if mask is None:
        return sample_weight
    weight = ops.cast(ops.cast(mask, "bool"), dtype)
    if average:
        weight = ops.multiply(weight, divide_no_nan(1.0, ops.mean(weight)))
    if sample_weight is None:
        return weight
    weight, sample_weight = match_ranks(weight, ops.cast(sample_weight, dtype))
    weight = _with_axes(weight, len(sizes(sample_weight)))  # a mask of rows beside weights of their parts
    weight, sample_weight = _aligned(weight, sample_weight, "sample_weight")
    return ops.multiply(weight, sample_weight)


def _with_axes(x: Any, ndim: int) -> Any:
    """`x` with axes of size 1 behind its own, up to `ndim`; a scalar stays."""
    while 0 < len(sizes(x)) < ndim:
        x = ops.expand_dims(x, -1)
    return x


def _aligned(values: Any, weight: Any, name: str) -> tuple[Any, Any]:
    values, weight = match_ranks(values, weight)
    received = sizes(weight)
    weight = _with_axes(weight, len(sizes(values)))
    if sizes(values) and received and not fit(sizes(values), sizes(weight)):
        raise ValueError(
            f"{name} of shape {received} does not fit values of shape {sizes(values)}; "
            "give one weight per sample, or one per value"
        )
    return values, weight
