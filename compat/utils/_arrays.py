"""Class numbers as rows, and arrays of norm 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfun import ops


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as rows that are 1 at the class and 0 elsewhere.

    Args:
        x: integers `[...]` or `[..., 1]`.
        num_classes: by default the largest class and 1.

    Returns:
        `[..., num_classes]`: NumPy float64, as in Keras; float32 of the same library for its arrays.

    Raises:
        IndexError: if a class is out of range.
    """
    labels = np.asarray(x, dtype="int64")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1)
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise IndexError(f"to_categorical: classes {labels.min()} to {labels.max()} are not all in [0, {classes})")
    rows = np.zeros((labels.size, classes))
    rows[np.arange(labels.size), labels] = 1
    return _like(rows.reshape(*shape, classes), x)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """An array divided by its norm along an axis; where the norm is 0, the array itself."""
    if _is_tensor(x):
        norm = ops.norm(x, ord=order, axis=axis, keepdims=True)
        return ops.divide(x, ops.where(norm == 0, ops.ones_like(norm), norm))
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)


def _is_tensor(x: Any) -> bool:
    return hasattr(x, "shape") and not isinstance(x, (np.ndarray, np.generic))


def _like(rows: np.ndarray, x: Any) -> Any:
    return ops.convert_to_tensor(rows, "float32") if _is_tensor(x) else rows
