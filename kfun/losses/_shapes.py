"""Arrays of one kind, axes that match, and messages that name both shapes."""

from __future__ import annotations

from typing import Any

from kfun import dtypes, ops
from kfun.ops._kinds import Kind, default_kind, kind_of, kind_of_type

EPSILON = 1e-7  # Keras's backend.epsilon()


def as_arrays(*values: Any) -> tuple:
    """NumPy data, lists and scalars as arrays of the framework of the others; None and structures stay."""
    kind = kind_of(values, "losses") or default_kind()
    return tuple(_convert(value, kind) for value in values)


def _convert(value: Any, kind: Kind) -> Any:
    if value is None or isinstance(kind_of_type(type(value)), Kind):
        return value
    if is_structure(value):
        return map_structure(lambda v: _convert(v, kind), value)
    return kind.convert(value)


def is_structure(value: Any) -> bool:
    """Whether a value is a container of arrays, rather than the data of one array."""
    if isinstance(value, (list, tuple)):
        return any(hasattr(v, "shape") or is_structure(v) for v in value)
    return isinstance(value, dict)


def map_structure(function: Any, value: Any) -> Any:
    """`function` of each array in nested dicts, lists and tuples."""
    if isinstance(value, dict):
        return {k: map_structure(function, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [map_structure(function, v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return function(value)


def leaves(value: Any) -> list:
    """The arrays in nested dicts, lists and tuples."""
    if isinstance(value, (dict, list, tuple)):
        return [leaf for v in (value.values() if isinstance(value, dict) else value) for leaf in leaves(v)]
    return [value]


def dtype_of(x: Any) -> str:
    """The canonical name of an array's type."""
    return dtypes.name(x.dtype)


def sizes(x: Any) -> tuple[int | None, ...]:
    """The static shape: None for a size that is only known at run time."""
    return tuple(s if isinstance(s, int) else None for s in x.shape)


def match_ranks(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Gives two arrays one rank where they differ by a last axis of size 1.

    `(B, 1)` with `(B,)` becomes twice `(B, 1)`, or twice `(B,)` unless `expand_rank_1`; of
    `(B, T, 1)` with `(B, T)` the last axis goes. All else stays as it is.
    """
    s1, s2 = sizes(x1), sizes(x2)
    if len(s1) == len(s2) + 1 and s1[-1] == 1:
        if len(s2) == 1 and expand_rank_1:
            return x1, ops.expand_dims(x2, -1)
        return ops.squeeze(x1, -1), x2
    if len(s2) == len(s1) + 1 and s2[-1] == 1:
        x2, x1 = match_ranks(x2, x1, expand_rank_1)
    return x1, x2


def fit(s1: tuple, s2: tuple, broadcast: bool = True) -> bool:
    """Whether two static shapes of one rank are equal where known, sizes of 1 aside if `broadcast`."""
    ones = (None, 1) if broadcast else (None,)
    return len(s1) == len(s2) and all(a == b or a in ones or b in ones for a, b in zip(s1, s2, strict=True))


def pair(function: str, y_true: Any, y_pred: Any, *, broadcast: bool = True) -> tuple[Any, Any]:
    """Targets and predictions as arrays of one framework, one floating type and one rank.

    Args:
        function: its name, for messages.
        y_true: array-like, cast to the type of the predictions.
        y_pred: array-like; integers become float32.
        broadcast: whether a size of 1 may stand against another.

    Raises:
        ValueError: if the shapes do not match.
    """
    y_true, y_pred = as_arrays(y_true, y_pred)
    if not dtypes.is_float(dtype_of(y_pred)):
        y_pred = ops.cast(y_pred, "float32")
    y_true, y_pred = match_ranks(ops.cast(y_true, dtype_of(y_pred)), y_pred)
    if not sizes(y_pred):
        raise ValueError(f"{function}: expected y_pred with at least one axis; received a scalar")
    if sizes(y_true) and not fit(sizes(y_true), sizes(y_pred), broadcast):
        raise ValueError(
            f"{function}: y_true and y_pred must have the same shape; received y_true of shape {sizes(y_true)} "
            f"and y_pred of shape {sizes(y_pred)}"
        )
    return y_true, y_pred


def divide_no_nan(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, 0 where `x2` is 0, with a finite gradient."""
    zero = ops.equal(x2, 0)
    return ops.where(zero, 0.0, ops.divide(x1, ops.where(zero, 1.0, x2)))


def labels_of(function: str, y_true: Any, y_pred: Any, axis: int = -1) -> tuple[Any, Any]:
    """Class numbers, int32 and without the class axis, and floating predictions.

    Raises:
        ValueError: if the shapes do not fit, or the targets look one-hot.
    """
    y_true, y_pred = as_arrays(y_true, y_pred)
    if not dtypes.is_float(dtype_of(y_pred)):
        y_pred = ops.cast(y_pred, "float32")
    pred, received = sizes(y_pred), sizes(y_true)
    if len(received) == len(pred) and pred and received[axis] == 1:
        y_true = ops.squeeze(y_true, axis)
    axis = axis % len(pred) if pred else 0
    expected = pred[:axis] + pred[axis + 1 :]
    if not pred or not fit(sizes(y_true), expected, broadcast=False):
        hint = (
            "y_true looks one-hot: use categorical_crossentropy, or give the labels ops.argmax(y_true, axis)"
            if received == pred
            else "give one class number per prediction"
        )
        raise ValueError(
            f"{function}: expected integer y_true of shape {expected} for y_pred of shape {pred}; "
            f"received y_true of shape {received}. {hint[0].upper()}{hint[1:]}"
        )
    return ops.cast(y_true, "int32"), y_pred
