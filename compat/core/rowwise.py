"""Which models compute each row of a batch apart, so that a batch may be filled up with rows that do not count.

This is known of the layers, ops, losses and metrics that are ours. What a user wrote may do anything with its
rows, so a model with such parts runs its last batch in the size that it has.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

from compat import losses
from compat.core.functional import Functional
from compat.core.generated import Generated, Part
from compat.core.input_layer import InputLayer
from compat.core.layer import Layer
from compat.core.own import ours, own_layer
from compat.core.sequential import Sequential
from compat.core.single import Steps
from kfun.graph import tensors
from kfun.training import ArrayFeed

_METHODS = (
    "train_step", "test_step", "predict_step", "compute_loss", "compute_loss_and_updates", "compute_metrics",
    "stateless_compute_loss",
)  # fmt: skip
_ELEMENTWISE = ("kfun.ops.elementwise", "kfun.ops.special", "kfun.ops.shrinkage", "kfun.ops.activation")
_ALONG_AXIS = (
    "sum", "mean", "prod", "max", "min", "any", "all", "argmax", "argmin", "cumsum", "cumprod", "var", "std",
    "logsumexp", "norm", "normalize", "median", "softmax", "log_softmax", "glu", "sparsemax", "squeeze",
    "concatenate", "split", "flip", "sort", "argsort", "layer_normalization", "rms_normalization",
)  # fmt: skip
_NEW_AXIS = ("expand_dims", "stack", "one_hot")


def pad(model: Any, feed: Any, predicts: bool = False) -> None:
    """Lets a feed fill up its smaller batches if the model allows it."""
    inner = feed.inner
    even = isinstance(inner, ArrayFeed) and (inner.rows <= inner.batch_size or inner.rows % inner.batch_size == 0)
    inner.pads = not even and not model._op_by_op and _apart(model, predicts)


def _apart(model: Any, predicts: bool) -> bool:
    """Whether steps of a model compute each row apart, but for what takes a mask of rows."""
    if any(getattr(type(model), name) is not getattr(Steps, name) for name in _METHODS):
        return False
    if not _layer(model):
        return False
    return predicts or (all(len(t.shape) > 1 for t in _outputs(model)) and _measured(model))


def _outputs(model: Any) -> list:
    return model.outputs or []


def _measured(model: Any) -> bool:
    """Whether losses and metrics leave rows without weight out."""
    loss, compiled = model._kf_loss, model._kf_metrics
    if any(layer._kf.losses or layer._own_metrics() for layer in model._all_layers()):
        return False
    parts = [] if loss is None else [part for part, _ in loss._built.values()]
    if loss is not None and not parts:  # losses of nested outputs
        return False
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
        return not _along(getattr(definition, "axis", None), 2)
    axis = inspect.signature(function).parameters.get("axis") if ours(function) else None
    return not ours(function) or function.__name__ == "circle" or (axis is not None and axis.default != -1)


def _layer(layer: Any) -> bool:
    """Whether a layer, or all that are in it, compute each row apart."""
    if isinstance(layer, Functional):
        return type(layer).call is Functional.call and all(_step(step) for step in layer._kf_steps)
    if isinstance(layer, Sequential):
        return type(layer).call is Sequential.call and layer._kf_graph is not None and _layer(layer._kf_graph)
    if isinstance(layer, (InputLayer, Part)):
        return True
    if not own_layer(layer):
        return False
    if any(getattr(x, "definition", x).pools_rows for x in layer._all_layers()[1:] if isinstance(x, Generated)):
        return False  # what it gives to those inside may have other rows
    if not _rows_first(getattr(layer, "equation", "b...,->b...")):
        return False
    rank = min((len(t.shape) for node in layer._kf.nodes for t in tensors(node.inputs)), default=2)
    axes = [getattr(layer, name, None) for name in ("axis", "axes", "attention_axes")]
    return all(_along(axis, rank) for axis in axes) and all(map(_layer, layer._sublayers()))


def _rows_first(equation: str) -> bool:
    """Whether the first axis of an einsum's input is the first of its output."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    return inputs[:1] == output[:1] or inputs.startswith("...")


def _along(axis: Any, rank: int) -> bool:
    """Whether axes of an array of a rank are given and leave out that of the batch; None is no axis here."""
    axes = axis if isinstance(axis, (list, tuple)) else () if axis is None else (axis,)
    return all(isinstance(a, int) and (a + rank if a < 0 else a) > 0 for a in axes)


def _step(step: Any) -> bool:
    """Whether a node of a graph, a layer or an op, computes each row apart."""
    target = step.node.target
    if isinstance(target, Layer):
        return _layer(target)
    op = getattr(target, "op", None)
    if op is None:
        return False
    given = op.signature.bind(*step.node.args, **step.node.kwargs)
    given.apply_defaults()
    return _op(op, given.arguments, list(tensors((step.node.args, step.node.kwargs))))


def _op(op: Any, given: dict[str, Any], symbolic: list) -> bool:
    rank = len(symbolic[0].shape)
    if any(len(t.shape) != rank or not rank or t.shape[0] is not None for t in symbolic):
        return False
    if op.name in _ALONG_AXIS:
        return given["axis"] is not None and _along(given["axis"], rank)
    if op.name in _NEW_AXIS:
        return _along(given["axis"], rank + 1)
    if op.declared.__module__ in _ELEMENTWISE or op.name == "cast":
        return all(getattr(v, "ndim", 0) < rank for v in _constants(given.values()))
    if op.name == "getitem":
        index = given["index"] if isinstance(given["index"], tuple) else (given["index"],)
        return index[:1] in ((slice(None),), (Ellipsis,)) and len(index) <= rank
    if op.name == "transpose":
        return given["axes"] is not None and tuple(given["axes"])[:1] == (0,)
    return op.name == "reshape" and _keeps_rows(symbolic[0].shape, given["newshape"])


def _constants(values: Iterable[Any]) -> list:
    return [v for v in values if not isinstance(v, (list, tuple)) and next(tensors(v), None) is None]


def _keeps_rows(shape: tuple, new: Any) -> bool:
    new = tuple(new) if isinstance(new, (list, tuple)) else (new,)
    rest = [*shape[1:], *new[1:]]
    if new[0] not in (-1, None) or not all(isinstance(n, int) and n >= 0 for n in rest):
        return False
    return math.prod(shape[1:]) == math.prod(new[1:])
