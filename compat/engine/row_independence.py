"""Whether each row of a batch is computed apart, so that a batch may be filled up with rows that do not count.

This is known of the layers and ops that are ours. What a user wrote may do anything with its rows, so a model with
such parts runs its last batch in the size that it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from compat.engine.operation import Operation
from kfun.graph import tensors

_ELEMENTWISE = ("kfun.ops.elementwise", "kfun.ops.special", "kfun.ops.shrinkage", "kfun.ops.activation")
_ALONG_AXIS = (
    "sum", "mean", "prod", "max", "min", "any", "all", "argmax", "argmin", "cumsum", "cumprod", "var", "std",
    "logsumexp", "norm", "normalize", "median", "softmax", "log_softmax", "glu", "sparsemax", "squeeze",
    "concatenate", "split", "flip", "sort", "argsort", "layer_normalization", "rms_normalization",
)  # fmt: skip
_NEW_AXIS = ("expand_dims", "stack", "one_hot")


def in_layer(layer: Any) -> bool:
    """Whether a layer of a definition, with all that are in it, computes each row apart."""
    if not layer._is_own():
        return False
    if any(getattr(x, "definition", None) is not None and x.definition.pools_rows for x in layer._all_layers()[1:]):
        return False  # what it gives to those inside may have other rows
    if not _rows_first(getattr(layer, "equation", "b...,->b...")):
        return False
    rank = min((len(t.shape) for node in layer._kf.nodes for t in tensors(node.inputs)), default=2)
    axes = [getattr(layer, name, None) for name in ("axis", "axes", "attention_axes")]
    return all(along(axis, rank) for axis in axes) and all(x._keeps_rows_apart() for x in layer._sublayers())


def in_step(step: Any) -> bool:
    """Whether a node of a graph, a layer or an op, computes each row apart."""
    target = step.node.target
    op = getattr(target, "op", None)
    if op is None:
        return isinstance(target, Operation) and target._keeps_rows_apart()
    given = op.signature.bind(*step.node.args, **step.node.kwargs)
    given.apply_defaults()
    return _op(op, given.arguments, list(tensors((step.node.args, step.node.kwargs))))


def _rows_first(equation: str) -> bool:
    """Whether the first axis of an einsum's input is the first of its output."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    return inputs[:1] == output[:1] or inputs.startswith("...")


def along(axis: Any, rank: int) -> bool:
    """Whether axes of an array of a rank are given and leave out that of the batch; None is no axis here."""
    axes = axis if isinstance(axis, (list, tuple)) else () if axis is None else (axis,)
    return all(isinstance(a, int) and (a + rank if a < 0 else a) > 0 for a in axes)


def _op(op: Any, given: dict[str, Any], symbolic: list) -> bool:
    rank = len(symbolic[0].shape)
    if any(len(t.shape) != rank or not rank or t.shape[0] is not None for t in symbolic):
        return False
    if op.name in _ALONG_AXIS:
        return given["axis"] is not None and along(given["axis"], rank)
    if op.name in _NEW_AXIS:
        return along(given["axis"], rank + 1)
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
