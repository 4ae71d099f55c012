"""Filling up the smaller batches of a feed with rows that do not count, so that one program runs all of them."""

from __future__ import annotations

import inspect
from typing import Any

from compat import losses
from compat.engine.provenance import ours
from compat.engine.row_independence import along
from kfun.training import ArrayFeed

_METHODS = (
    "train_step", "test_step", "predict_step", "compute_loss", "compute_loss_and_updates", "compute_metrics",
    "stateless_compute_loss",
)  # fmt: skip


def pad(model: Any, feed: Any, predicts: bool = False) -> None:
    """Lets a feed fill up its smaller batches if the model allows it."""
    inner = feed.inner
    even = isinstance(inner, ArrayFeed) and (inner.rows <= inner.batch_size or inner.rows % inner.batch_size == 0)
    inner.pads = not even and not model._op_by_op and _apart(model, predicts)


def _apart(model: Any, predicts: bool) -> bool:
    """Whether steps of a model compute each row apart, but for what takes a mask of rows."""
    if model._overrides(*_METHODS) or not model._keeps_rows_apart():
        return False
    return predicts or (all(len(t.shape) > 1 for t in model.outputs or []) and _measured(model))


def _measured(model: Any) -> bool:
    """Whether losses and metrics leave rows without weight out."""
    loss, compiled = model._compile_loss, model._compile_metrics
    if any(layer._kf.losses or layer._own_metrics() for layer in model._all_layers()):
        return False
    if loss is not None and (loss.structured or not loss.built):
        return False
    parts = [] if loss is None else [place.loss for place in loss.places]
    if not all(isinstance(part, losses.Loss) for part in parts):
        return False
    parts += [] if compiled is None else compiled.metrics
    return all(ours(type(part)) and not _pools(part) for part in parts)


def _pools(part: Any) -> bool:
    """Whether a loss or a metric draws on several rows, or is a function that may."""
    definition = part._definition() if isinstance(part, losses.Loss) else getattr(part, "definition", None)
    if definition is None or definition.pools_rows:
        return True
    function = getattr(definition, "fn", None)
    if function is None:
        return not along(getattr(definition, "axis", None), 2)
    axis = inspect.signature(function).parameters.get("axis") if ours(function) else None
    return not ours(function) or function.__name__ == "circle" or (axis is not None and axis.default != -1)
