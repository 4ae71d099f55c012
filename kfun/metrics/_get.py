"""Metrics by name."""

from __future__ import annotations

from typing import Any

from kfun.definition import register_function
from kfun.losses import _get as losses_by_name
from kfun.losses import _named
from kfun.metrics import accuracy, auc, confusion, f_score, iou, probabilistic, reduction, regression
from kfun.metrics._base import Metric

_MODULES = (reduction, regression, probabilistic, accuracy, confusion, auc, f_score, iou)
CLASSES: dict[str, type[Metric]] = {
    name: value
    for module in _MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Metric) and value.__module__ == module.__name__
    if not name.startswith("_") and name != "MeanOf"
}
FUNCTIONS = {
    f.__name__: register_function(f)
    for f in (
        accuracy.accuracy,
        accuracy.binary_accuracy,
        accuracy.categorical_accuracy,
        accuracy.sparse_categorical_accuracy,
        accuracy.top_k_categorical_accuracy,
        accuracy.sparse_top_k_categorical_accuracy,
        regression.pearson_correlation,
        regression.concordance_correlation,
    )
}
_BY_SHAPE = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy", "ce": "crossentropy"}


def get(identifier: Any, y_true_spec: Any = None, y_pred_spec: Any = None) -> Metric | None:
    """The metric for an identifier.

    Args:
        identifier: the name of a class (`"MeanSquaredError"`, `"mean_squared_error"`), an alias
            (`"mse"`) or a loss function; `"accuracy"`, `"acc"`, `"crossentropy"` or `"ce"`, which the
            shapes make binary, categorical or sparse (`"Accuracy"` without shapes is that class); a
            metric, a class of metrics, a function `(y_true, y_pred) -> values`, the JSON of a metric,
            or None. A name also names the metric.
        y_true_spec, y_pred_spec: specs or arrays of targets and predictions, for the four names above.

    Raises:
        ValueError: if no metric has that name, or the shapes are needed and missing.
        TypeError: if `identifier` is none of these.
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        names = _names()
        ending = _BY_SHAPE.get(identifier.lower())
        if ending is not None and not (identifier in CLASSES and y_pred_spec is None):
            kind = losses_by_name.kind_of_targets(identifier, y_true_spec, y_pred_spec)
            return names[f"{kind}_{ending}"](name=identifier)
        found = _named.named(identifier, names | dict.fromkeys(_BY_SHAPE), "metric")
        if isinstance(found, type):
            return found(name=identifier)
        return reduction.MeanMetricWrapper(found, name=identifier)
    if isinstance(identifier, dict):
        return _named.of_config(identifier, Metric, CLASSES, "metric")
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier):
        name = getattr(identifier, "__name__", None) or getattr(identifier, "name", "mean_metric_wrapper")
        return reduction.MeanMetricWrapper(identifier, name=name)
    raise TypeError(f"expected the name of a metric, a metric or a function; received {identifier!r}")


def _names() -> dict[str, Any]:
    functions = {name: function for name, (function, _) in losses_by_name.FUNCTIONS.items()}
    by_snake = {_named.snake_case(name): cls for name, cls in CLASSES.items()}
    by_name = {getattr(cls, "default_name", cls.__name__): cls for cls in CLASSES.values()}
    names = functions | FUNCTIONS | CLASSES | by_snake | by_name
    return {alias: names[full] for alias, full in losses_by_name.ALIASES.items()} | names
