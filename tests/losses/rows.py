"""Every public loss, once or more: how it is made, and targets and predictions for it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

B, T, C = 6, 4, 5


@dataclass(frozen=True, eq=False)
class Row:
    """A loss's class, its arguments, and `make(random) -> (y_true, y_pred)`."""

    name: str
    make: Callable
    kwargs: dict = field(default_factory=dict)
    label: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name

    def data(self):
        return self.make(np.random.default_rng(zlib.crc32(self.id.encode())))


def real(random, shape=(B, C)):
    return random.normal(size=shape).astype("float32"), random.normal(size=shape).astype("float32")


def sequences(random):
    return real(random, (B, T, C))


def trailing(random):
    """Targets `[B]` for predictions `[B, 1]`."""
    y_true, y_pred = real(random, (B, 1))
    return y_true[:, 0], y_pred


def positive(random):
    return tuple(random.uniform(0.0, 3.0, (B, C)).astype("float32") for _ in range(2))


def probabilities(random, shape=(B, C)):
    y_pred = random.uniform(0.0, 1.0, shape).astype("float32")
    y_pred[0, 0], y_pred[1, 0] = 0.0, 1.0
    return (random.uniform(size=shape) < 0.4).astype("float32"), y_pred


def binary_logits(random):
    return probabilities(random)[0], (10 * random.normal(size=(B, C))).astype("float32")


def mild_logits(random):
    """Logits whose sigmoid keeps its digits: the focal loss takes the logarithm of the rounded sigmoid."""
    return probabilities(random)[0], (2 * random.normal(size=(B, C))).astype("float32")


def signs(random):
    return np.sign(random.normal(size=(B, C))).astype("float32"), real(random)[1]


def zeros_and_ones(random):
    return (random.uniform(size=(B, C)) < 0.4).astype("int32"), real(random)[1]


def one_hot(random, shape=(B,), logits=False):
    y_true = np.eye(C, dtype="float32")[random.integers(0, C, shape)]
    y_pred = random.normal(size=(*shape, C)) * 4
    return y_true, (y_pred if logits else np.exp(y_pred)).astype("float32")


def one_hot_logits(random):
    return one_hot(random, (B, T), logits=True)


def labels(random, shape=(B,), logits=False):
    y_true, y_pred = one_hot(random, shape, logits)
    return y_true.argmax(-1).astype("int32"), y_pred


def label_logits(random):
    return labels(random, (B, T), logits=True)


def label_columns(random):
    y_true, y_pred = labels(random)
    return y_true[:, None].astype("float32"), y_pred


def ignored(random):
    y_true, y_pred = label_logits(random)
    y_true[0, :2] = y_true[3] = -1
    return y_true, y_pred


def embeddings(random):
    y_pred = random.normal(size=(8, C))
    y_pred /= np.linalg.norm(y_pred, axis=1, keepdims=True)
    return np.array([0, 1, 2, 0, 1, 2, 0, 3], "int32"), y_pred.astype("float32")


def alignments(random):
    y_true = np.array([[1, 2, 2, 0], [3, 0, 0, 0], [4, 4, 4, 1], [0, 0, 0, 0]], "int32")
    return y_true, random.normal(size=(4, 9, C)).astype("float32")


def first_axis(random):
    y_true, y_pred = one_hot(random, (B, T))
    return np.moveaxis(y_true, -1, 1), np.moveaxis(y_pred, -1, 1)


ROWS = [
    Row("MeanSquaredError", real),
    Row("MeanSquaredError", trailing, label="trailing"),
    Row("MeanSquaredError", sequences, label="sequences"),
    Row("MeanAbsoluteError", real),
    Row("MeanAbsolutePercentageError", real),
    Row("MeanSquaredLogarithmicError", positive),
    Row("Huber", real),
    Row("Huber", real, {"delta": 0.3}, "delta"),
    Row("LogCosh", real),
    Row("CosineSimilarity", real),
    Row("CosineSimilarity", sequences, {"axis": 1}, "axis"),
    Row("BinaryCrossentropy", probabilities),
    Row("BinaryCrossentropy", binary_logits, {"from_logits": True}, "logits"),
    Row("BinaryCrossentropy", probabilities, {"label_smoothing": 0.2, "axis": 0}, "smoothed"),
    Row("BinaryFocalCrossentropy", probabilities),
    Row("BinaryFocalCrossentropy", mild_logits, {"from_logits": True, "gamma": 1.5}, "logits"),
    Row("BinaryFocalCrossentropy", probabilities, {"apply_class_balancing": True, "alpha": 0.7}, "balanced"),
    Row("BinaryFocalCrossentropy", probabilities, {"label_smoothing": 0.1}, "smoothed"),
    Row("CategoricalCrossentropy", one_hot),
    Row("CategoricalCrossentropy", one_hot_logits, {"from_logits": True}, "logits"),
    Row("CategoricalCrossentropy", one_hot, {"label_smoothing": 0.2}, "smoothed"),
    Row("CategoricalCrossentropy", first_axis, {"axis": 1, "label_smoothing": 0.1}, "axis"),
    Row("CategoricalFocalCrossentropy", one_hot),
    Row("CategoricalFocalCrossentropy", one_hot_logits, {"from_logits": True, "gamma": 3.0, "alpha": 0.5}, "logits"),
    Row("CategoricalFocalCrossentropy", one_hot, {"label_smoothing": 0.2}, "smoothed"),
    Row("SparseCategoricalCrossentropy", labels),
    Row("SparseCategoricalCrossentropy", label_columns, label="columns"),
    Row("SparseCategoricalCrossentropy", label_logits, {"from_logits": True}, "logits"),
    Row("SparseCategoricalCrossentropy", ignored, {"from_logits": True, "ignore_class": -1}, "ignore"),
    Row("KLDivergence", lambda random: tuple(np.abs(y) / 3 for y in real(random))),
    Row("Poisson", positive),
    Row("CategoricalGeneralizedCrossEntropy", lambda r: (labels(r)[0], probabilities(r)[1]), {"q": 0.7}),
    Row("Hinge", signs),
    Row("Hinge", zeros_and_ones, label="binary"),
    Row("SquaredHinge", signs),
    Row("CategoricalHinge", one_hot),
    Row("Dice", probabilities),
    Row("Dice", probabilities, {"axis": -1}, "axis"),
    Row("Tversky", probabilities),
    Row("Tversky", probabilities, {"alpha": 0.2, "beta": 0.9, "axis": (1,)}, "axis"),
    Row("Circle", embeddings, {"gamma": 20.0}),
    Row("Circle", embeddings, {"gamma": 10.0, "margin": 0.2, "remove_diagonal": False}, "diagonal"),
    Row("CTC", alignments),
]
