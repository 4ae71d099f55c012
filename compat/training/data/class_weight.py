"""Class weights: the weight of each target's class as its sample weight."""

from __future__ import annotations

from typing import Any

import numpy as np


class ClassWeight:
    """What `fit` was given as `class_weight`, and what it needs to know to find the classes in targets.

    Args:
        weights: `{class: weight}`; classes that it does not name weigh 1.
        numbers: whether targets are class numbers, whatever their shape, rather than a number for each class.
        rank: of the outputs, None if unknown: targets with one axis less are class numbers.

    Raises:
        TypeError: if `weights` is no dict.
        ValueError: if a key is no whole number, or a weight no number.
    """

    def __init__(self, weights: Any, numbers: bool = False, rank: int | None = None):
        if not isinstance(weights, dict):
            raise TypeError(f"class_weight: expected a dict {{class number: weight}}; received {weights!r:.80}")
        self.weights = {_class(key): _weight(key, value) for key, value in weights.items()}
        self._numbers, self._rank = numbers, rank

    def of(self, y: Any) -> np.ndarray:
        """The weights of targets, float32: class numbers of any shape, or a last axis with a number for each class.

        Raises:
            ValueError: if a row of the last axis does not tell one class.
        """
        labels = self._labels(np.asarray(y))
        weights = np.ones(labels.shape, np.float32)
        for label, value in self.weights.items():
            weights[labels == label] = value
        return weights

    def _labels(self, y: np.ndarray) -> np.ndarray:
        if y.ndim > 1 and y.shape[-1] == 1:
            y = y[..., 0]
        elif y.ndim > 1 and not self._are_numbers(y):
            return _brightest(y)
        return np.round(y).astype("int64")

    def _are_numbers(self, y: np.ndarray) -> bool:
        if self._numbers or self._rank is not None:
            return self._numbers or self._rank == y.ndim + 1
        return y.dtype.kind in "iu" and y.size > 0 and y.max() > 1


def _brightest(y: np.ndarray) -> np.ndarray:
    """The class of each row that is one-hot, or a share for each class."""
    y = y.astype("float32")
    wrong = (np.abs(y.sum(-1) - 1) > 0.01) | (y < 0).any(-1)
    if wrong.any():
        raise ValueError(
            f"class_weight: a target of shape {y.shape} has the row {y[wrong][0].tolist()!s:.80}, which tells no "
            "one class. Weigh targets of several labels by sample_weight; for class numbers train with "
            "sparse_categorical_crossentropy, or give them a last axis of size 1"
        )
    return y.argmax(-1)


def _class(key: Any) -> int:
    if isinstance(key, (int, float, np.number)) and key == np.round(key):
        return int(key)
    raise ValueError(
        f"class_weight: expected class numbers as keys; received {key!r}. Use the numbers that stand for the classes "
        "in y"
    )


def _weight(key: Any, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"class_weight[{key!r}]: expected a number; received {value!r:.80}") from None
