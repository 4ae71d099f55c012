"""Every public metric, once or more: how it is made, and batches of targets and predictions for it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

C = 5
SIZE = 7


@dataclass(frozen=True, eq=False)
class Row:
    """A metric's class, its arguments, `make(random, batch size) -> (y_true, y_pred)`, and which weights it takes."""

    name: str
    make: Callable
    kwargs: dict = field(default_factory=dict)
    label: str = ""
    weights: tuple = ("sample",)  # of "sample", "column", "value"
    integers: bool = False  # whether weights are

    @property
    def id(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name

    def batches(self):
        """`(y_true, y_pred, sample_weight)`: one batch with each sort of weights; of two sizes without a label."""
        random = np.random.default_rng(zlib.crc32(self.id.encode()))
        last = [] if self.label else [(1, None)]
        for size, weight in [(SIZE, None), *((SIZE, w) for w in self.weights), *last]:
            y_true, y_pred = self.make(random, size)
            shape = {None: None, "sample": (size,), "column": (size, 1), "value": np.shape(y_true)}[weight]
            w = None if shape is None else random.uniform(0.0, 2.0, shape).astype("float32")
            yield y_true, y_pred, np.round(w).astype("int32") if self.integers and w is not None else w


def real(random, n):
    return tuple(random.normal(size=(n, C)).astype("float32") for _ in range(2))


def sequences(random, n):
    return tuple(random.normal(size=(n, 3, C)).astype("float32") for _ in range(2))


def related(random, n):
    y_true, noise = real(random, n)
    return y_true, y_true + 0.3 * noise


def positive(random, n):
    return tuple(np.abs(y) for y in real(random, n))


def equals(random, n):
    return tuple(random.integers(0, 3, (n, C)).astype("int32") for _ in range(2))


def binary(random, n, shape=(C,)):
    y_pred = random.uniform(size=(n, *shape)).astype("float32")
    y_pred.flat[0] = 0.0
    y_pred.flat[-1] = 1.0
    return (random.uniform(size=(n, *shape)) < 0.4).astype("int32"), y_pred


def flat(random, n):
    return binary(random, n, ())


def column(random, n):
    y_true, y_pred = binary(random, n, (1,))
    return y_true[:, 0], y_pred


def on_the_grid(random, n):
    """Predictions that equal thresholds."""
    return binary(random, n)[0], random.choice(np.float32([0.0, 0.25, 0.5, 0.75, 1.0]), (n, C))


def logits(random, n):
    return binary(random, n)[0].astype("float32"), (3 * random.normal(size=(n, C))).astype("float32")


def one_hot(random, n, shape=()):
    y_pred = random.uniform(size=(n, *shape, C)).astype("float32")
    return np.eye(C, dtype="float32")[random.integers(0, C, (n, *shape))], y_pred / y_pred.sum(-1, keepdims=True)


def one_hot_sequences(random, n):
    return one_hot(random, n, (3,))


def labels(random, n):
    y_true, y_pred = one_hot(random, n)
    return y_true.argmax(-1).astype("int32"), y_pred


def label_columns(random, n):
    y_true, y_pred = labels(random, n)
    return y_true[:, None], y_pred


def label_sequences(random, n):
    y_true, y_pred = one_hot_sequences(random, n)
    return y_true.argmax(-1).astype("float32"), y_pred


def ignored(random, n):
    y_true, y_pred = label_sequences(random, n)
    y_true[:, 0] = -1
    return y_true, y_pred


def tied(random, n):
    return labels(random, n)[0], np.round(2 * random.uniform(size=(n, C))).astype("float32")


def ranked(random, n):
    return labels(random, n)[0], np.argsort(random.normal(size=(n, C)), -1).astype("int32")


def classes(random, n):
    return tuple(random.integers(0, 4, (n, 3)).astype("int32") for _ in range(2))


def out_of_range(random, n):
    return tuple(random.integers(-1, 6, (n, 3)).astype("int32") for _ in range(2))


def regions(random, n):
    return binary(random, n)[0], np.clip(binary(random, n)[1], 0.0, 1.0)


BOTH = ("sample", "value")
EVEN = [i / 10 for i in range(11)]
ROWS = [
    Row("MeanSquaredError", real, weights=("sample", "column")),
    Row("MeanSquaredError", sequences, label="sequences"),
    Row("RootMeanSquaredError", real, weights=BOTH),
    Row("RootMeanSquaredError", sequences, label="sequences", weights=BOTH),
    Row("MeanAbsoluteError", real),
    Row("MeanAbsolutePercentageError", real),
    Row("MeanSquaredLogarithmicError", positive),
    Row("LogCoshError", real),
    Row("CosineSimilarity", real),
    Row("CosineSimilarity", sequences, {"axis": 1}, "axis"),
    Row("PearsonCorrelation", related),
    Row("ConcordanceCorrelation", related),
    Row("ConcordanceCorrelation", sequences, {"axis": 2}, "axis"),
    Row("R2Score", related, weights=BOTH),
    Row("R2Score", related, {"class_aggregation": None}, "each"),
    Row("R2Score", related, {"class_aggregation": "variance_weighted_average"}, "weighted"),
    Row("R2Score", related, {"num_regressors": 2}, "adjusted"),
    Row("BinaryCrossentropy", binary),
    Row("BinaryCrossentropy", logits, {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    Row("CategoricalCrossentropy", one_hot),
    Row("CategoricalCrossentropy", one_hot_sequences, {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    Row("SparseCategoricalCrossentropy", labels),
    Row("SparseCategoricalCrossentropy", label_sequences, {"from_logits": True}, "logits", BOTH),
    Row("SparseCategoricalCrossentropy", ignored, {"ignore_class": -1}, "ignored", ("value",)),
    Row("KLDivergence", positive),
    Row("Poisson", positive),
    Row("Hinge", logits),
    Row("SquaredHinge", logits),
    Row("CategoricalHinge", one_hot),
    Row("Accuracy", equals, weights=BOTH),
    Row("BinaryAccuracy", binary, weights=BOTH),
    Row("BinaryAccuracy", column, {"threshold": 0.2}, "threshold", ("sample", "column")),
    Row("CategoricalAccuracy", one_hot),
    Row("CategoricalAccuracy", one_hot_sequences, label="sequences"),
    Row("SparseCategoricalAccuracy", labels, weights=("sample", "column")),
    Row("SparseCategoricalAccuracy", label_columns, label="columns"),
    Row("SparseCategoricalAccuracy", label_sequences, label="sequences", weights=BOTH),
    Row("TopKCategoricalAccuracy", one_hot, {"k": 2}),
    Row("TopKCategoricalAccuracy", one_hot_sequences, {"k": 3}, "sequences"),
    Row("SparseTopKCategoricalAccuracy", labels, {"k": 2}),
    Row("SparseTopKCategoricalAccuracy", tied, {"k": 2}, "tied"),
    Row("SparseTopKCategoricalAccuracy", label_sequences, {"k": 1}, "sequences", BOTH),
    Row("SparseTopKCategoricalAccuracy", ranked, {"k": 2, "from_sorted_ids": True}, "sorted"),
    Row("TruePositives", binary, weights=BOTH),
    Row("TruePositives", flat, {"thresholds": [0.2, 0.8]}, "thresholds"),
    Row("FalsePositives", binary, {"thresholds": EVEN}, "even", BOTH),
    Row("FalsePositives", column, {"thresholds": 0.3}, "column"),
    Row("TrueNegatives", binary, {"thresholds": [0.0, 1.0]}),
    Row("FalseNegatives", on_the_grid, {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}),
    Row("Precision", binary, weights=BOTH),
    Row("Precision", one_hot, {"top_k": 2}, "top_k"),
    Row("Precision", one_hot, {"top_k": 3, "class_id": 1, "thresholds": 0.1}, "class"),
    Row("Recall", binary, {"thresholds": [0.1, 0.4]}),
    Row("Recall", one_hot, {"top_k": 2}, "top_k"),
    Row("Recall", binary, {"class_id": -1}, "last class"),
    Row("Recall", on_the_grid, {"thresholds": EVEN}, "even"),
    Row("SensitivityAtSpecificity", flat, {"specificity": 0.4}),
    Row("SensitivityAtSpecificity", binary, {"specificity": 0.9, "num_thresholds": 1}, "one"),
    Row("SpecificityAtSensitivity", binary, {"sensitivity": 0.6, "num_thresholds": 20}, weights=BOTH),
    Row("PrecisionAtRecall", flat, {"recall": 0.5}),
    Row("PrecisionAtRecall", one_hot, {"recall": 0.5, "class_id": 2}, "class"),
    Row("RecallAtPrecision", flat, {"precision": 0.4}),
    Row("RecallAtPrecision", flat, {"precision": 1.0, "num_thresholds": 3}, "out of reach"),
    Row("AUC", flat),
    Row("AUC", binary, {"num_thresholds": 20}, "matrix", BOTH),
    Row("AUC", flat, {"curve": "PR"}, "pr"),
    Row("AUC", flat, {"curve": "PR", "summation_method": "majoring"}, "pr-majoring"),
    Row("AUC", flat, {"curve": "PRGAIN", "num_thresholds": 30}, "prgain"),
    Row("AUC", flat, {"summation_method": "minoring", "thresholds": [0.7, 0.2, 0.4]}, "thresholds"),
    Row("AUC", on_the_grid, {"thresholds": [0.25, 0.5, 0.75]}, "even"),
    Row("AUC", logits, {"from_logits": True}, "logits"),
    Row("AUC", binary, {"multi_label": True}, "multi_label"),
    Row("AUC", binary, {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2.0, 0.0, 1.0, 0.5]}, "multi_pr"),
    Row("AUC", binary, {"multi_label": True, "num_labels": C, "thresholds": [0.1, 0.3]}, "multi_thresholds"),
    Row("AUC", binary, {"label_weights": [1.0, 2.0, 0.0, 1.0, 0.5]}, "label_weights"),
    Row("F1Score", one_hot),
    Row("F1Score", binary, {"average": "macro", "threshold": 0.4}, "threshold"),
    Row("FBetaScore", one_hot, {"average": "micro", "beta": 2.0}),
    Row("FBetaScore", binary, {"average": "weighted", "beta": 0.5, "threshold": 0.5}, "weighted"),
    Row("IoU", classes, {"num_classes": 4, "target_class_ids": [0, 2]}, integers=True, weights=BOTH[1:]),
    Row("IoU", classes, {"num_classes": 4, "target_class_ids": (1,), "dtype": "float32"}, "float", BOTH[1:]),
    Row("IoU", one_hot_sequences, {"num_classes": C, "target_class_ids": [3], "sparse_y_true": False,
                                   "sparse_y_pred": False}, "scores", ()),
    Row("MeanIoU", classes, {"num_classes": 4, "ignore_class": 1}, integers=True, weights=BOTH[1:]),
    Row("MeanIoU", out_of_range, {"num_classes": 5}, "out of range", integers=True, weights=BOTH[1:]),
    Row("BinaryIoU", regions, integers=True, weights=BOTH[1:]),
    Row("BinaryIoU", regions, {"target_class_ids": [1], "threshold": 0.3}, "threshold", ()),
    Row("OneHotIoU", one_hot, {"num_classes": C, "target_class_ids": [0, 4]}, integers=True),
    Row("OneHotMeanIoU", one_hot, {"num_classes": C}, integers=True),
]  # fmt: skip
OTHERS = {"Mean", "Sum", "MeanMetricWrapper"}  # have tests of their own
