"""The parts of a batch: `x`, `y`, `sample_weight`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from kfun import ops


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` of a batch; what is missing is None.

    Raises:
        ValueError: if the batch is a tuple or list of more than three parts, or of none.
    """
    if isinstance(batch, list):
        batch = tuple(batch)
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(f"a batch is x, (x, y) or (x, y, sample_weight); received {len(batch)} parts")
    return (*batch, None, None)[:3]


def trimmed(parts: tuple) -> tuple:
    """A batch tuple without the Nones at its end."""
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    return parts


class ClassWeight(NamedTuple):
    """The argument `class_weight`, and what the loss tells of the targets that it weighs."""

    weights: dict[int, float]
    numbers: bool | None  # whether targets are class numbers; None if the loss does not tell


def class_weight_of(class_weight: Any, numbers: bool | None) -> ClassWeight | None:
    """The checked argument; None if there is none.

    Raises:
        ValueError: if it is no dict of numbers by class number; names the key.
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        kind = type(class_weight).__name__
        raise ValueError(f"class_weight: expected a dict {{class number: weight}}; received a {kind}")
    weights = {}
    for label, value in class_weight.items():
        if not _is_number(label) or int(label) != label:
            raise ValueError(f"class_weight: expected class numbers (0, 1, ...) as keys; received the key {label!r}")
        if not _is_number(value):
            raise ValueError(f"class_weight: expected a number for class {label}; received {value!r}")
        weights[int(label)] = float(value)
    return ClassWeight(weights, numbers)


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.number)) and not isinstance(x, (bool, np.bool_)) and np.isfinite(x)


def with_class_weight(parts: tuple, class_weight: ClassWeight | None) -> tuple:
    """The batch parts with the weight of each target's class as its sample weight.

    Args:
        parts: `(x, y, sample_weight)`; y holds class numbers, `[B]` or `[B, 1]` or one for each of several places
            in a row, `[B, ...]`, or one-hot vectors along its last axis.
        class_weight: classes that it does not name weigh 1.

    Raises:
        ValueError: if there are sample weights already, y is not one array, or has several classes in a place.
    """
    x, y, weight = parts
    if class_weight is None:
        return parts
    if weight is not None:
        raise ValueError("class_weight and sample_weight exclude each other; multiply them into sample_weight")
    if y is None or isinstance(y, (dict, list, tuple)):
        raise ValueError("class_weight needs one target array `y`; for several outputs pass sample_weight")
    labels = _class_numbers(np.asarray(y), class_weight.numbers)
    weights = np.ones(labels.shape, np.float32)
    for label, value in class_weight.weights.items():
        weights[labels == label] = value
    return x, y, weights


def _class_numbers(y: np.ndarray, numbers: bool | None) -> np.ndarray:
    """The class of each target, without an axis of size 1 or of one-hot vectors."""
    if y.ndim > 1 and y.shape[-1] == 1:
        y = y[..., 0]
    elif y.ndim > 1 and not numbers:
        one_hot = (y >= 0).all() and np.allclose(y.sum(-1, dtype="float64"), 1, atol=1e-3)
        if one_hot:
            return y.argmax(-1)
        if numbers is False or (y != np.round(y)).any() or y.max(initial=0) <= 1:
            raise ValueError(
                f"class_weight needs one class for each target; y of shape {y.shape} has vectors that are not one-hot. "
                "For targets of several labels pass sample_weight"
            )
    return np.round(y).astype("int64")


def converted(parts: tuple) -> tuple:
    """Parts as tensors."""
    return jax.tree.map(ops.convert_to_tensor, parts)
