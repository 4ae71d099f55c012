"""Metrics by name and as data."""

from __future__ import annotations

import re
from typing import Any

from compat import losses
from compat.metrics._base import Metric
from compat.metrics._generated import _SNAKE, CLASSES, FUNCTIONS, MeanMetricWrapper
from compat.serialization import faces
from compat.serialization.kinds import check
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.serialization.registry import registered
from kfun.errors import nearest
from kfun.layer import snake_case as _snake_case
from kfun.losses import _get as _loss_names
from kfun.metrics import _get as _names


def get(identifier: Any) -> Any:
    """The metric for a name, a metric, a class, a function, a config, or None.

    Raises:
        ValueError: if no metric has that name; names the nearest ones.
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        return get(deserialize_as("metric", identifier))
    if isinstance(identifier, str):
        return _named(identifier)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        name = getattr(identifier, "__name__", None) or getattr(identifier, "name", None)
        return MeanMetricWrapper(identifier, name=_snake_case(re.sub(r"\W+", "", name or "") or "function"))
    raise ValueError(f"expected the name of a metric, a metric or a function; received {identifier!r}")


def _named(identifier: str) -> Any:
    found = _listed(identifier)
    if found is not None:
        return found() if isinstance(found, type) else MeanMetricWrapper(found, name=identifier)
    found = registered(identifier)
    if found is None:
        known = [*CLASSES, *_SNAKE, *FUNCTIONS, *_loss_names.ALIASES, *_names._BY_SHAPE]
        raise ValueError(f"unknown metric {identifier!r}; {nearest(identifier, known)}")
    return get(check("metric", found))


def _listed(identifier: str) -> Any:
    """The class or function that has this name here, None if there is none."""
    name = _loss_names.ALIASES.get(identifier, identifier)
    return CLASSES.get(name) or _SNAKE.get(name) or FUNCTIONS.get(name)


def get_for(identifier: Any, y: Any, y_pred: Any) -> Any:
    """Like `get`, where `"accuracy"` and `"crossentropy"` are chosen by the shapes of the data."""
    if isinstance(identifier, str) and identifier.lower() in _names._BY_SHAPE:
        kind = _loss_names.kind_of_targets(identifier, y, y_pred)
        return _SNAKE[f"{kind}_{_names._BY_SHAPE[identifier.lower()]}"](name=identifier)
    found = get(identifier)
    if isinstance(identifier, str):  # logs show the name that was asked for
        found.name = identifier
    return found


def check_names(metrics: Any) -> None:
    """Raises an error if a name among nested `metrics` is unknown, or says too little to make a metric.

    None of ours is made for that: each would take a number in the names of its class.
    """
    if isinstance(metrics, dict):
        metrics = list(metrics.values())
    if isinstance(metrics, (list, tuple)):
        for item in metrics:
            check_names(item)
    elif isinstance(metrics, str) and metrics.lower() not in _names._BY_SHAPE:
        found = _listed(metrics)
        if found is None:
            get(metrics)
        elif isinstance(found, type):
            faces.bind(found.__name__, found._parameters, (), {})


def serialize(metric: Any) -> Any:
    """The metric as JSON data."""
    return serialize_keras_object(metric) if isinstance(metric, Metric) else losses.function_config(metric)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The metric of JSON data, or of a name."""
    return get(config) if isinstance(config, str) else deserialize_as("metric", config, custom_objects)
