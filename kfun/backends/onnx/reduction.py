"""Reductions on ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kfun import dtypes
from kfun.backends.graphs.graph_rules import accumulator, axes_of
from kfun.backends.onnx import shaping
from kfun.backends.onnx.promotion import truth
from kfun.backends.onnx.value import Value, as_value, cast, emit, integers, promoted


def _argument(op: str) -> Any:
    """argmax and argmin: the first index of the extreme; NaN counts as infinite."""
    beyond = np.inf if op == "ArgMax" else -np.inf

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        rank = x.ndim
        if dtypes.is_float(x.dtype):
            x = emit("Where", emit("IsNaN", x), as_value(beyond, x.dtype), x)
        if axis is None:
            x = shaping.reshape(x, (-1,))
        indices = cast(emit(op, x, axis=0 if axis is None else axes_of(axis, rank)[0], keepdims=int(keepdims)), "int32")
        return shaping.reshape(indices, (1,) * rank) if axis is None and keepdims else indices

    return rule


def _reduce(op: str, x: Value, axis: Any, keepdims: bool) -> Value:
    axes = axes_of(axis, x.ndim)
    return emit(op, x, integers(axes), keepdims=int(keepdims)) if axes else x


def _total(op: str) -> Callable:
    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        return _reduce(op, cast(x, accumulator(x.dtype)), axis, keepdims)

    return rule


def _floating(op: str) -> Callable:
    return lambda x, axis=None, keepdims=False: _reduce(op, as_value(x, promoted(x, floating=True)), axis, keepdims)


def _extreme(op: str) -> Callable:
    """onnxruntime passes over NaN: it is put where there is one."""

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        top = _reduce(op, x, axis, keepdims)
        if not dtypes.is_float(x.dtype):
            return top
        spoiled = RULES["any"](emit("IsNaN", x), axis, keepdims)
        return emit("Where", spoiled, as_value(math.nan, x.dtype), top)

    return rule


def _quantifier(op: str) -> Callable:
    """Over uint8, because onnxruntime has no extreme of no bools."""

    def rule(x, axis=None, keepdims=False):
        return cast(_reduce(op, cast(truth(x), "uint8"), axis, keepdims), "bool")

    return rule


def cumsum(x, axis=None, dtype=None):
    x = as_value(x)
    x = cast(x, dtype or ("int32" if x.dtype == "bool" else x.dtype))
    if axis is None:
        x, axis = shaping.reshape(x, (-1,)), 0
    return emit("CumSum", x, as_value(axes_of([axis], x.ndim)[0], "int64"))


RULES = {
    "argmax": _argument("ArgMax"),
    "argmin": _argument("ArgMin"),
    "sum": _total("ReduceSum"),
    "prod": _total("ReduceProd"),
    "mean": _floating("ReduceMean"),
    "logsumexp": _floating("ReduceLogSumExp"),
    "max": _extreme("ReduceMax"),
    "min": _extreme("ReduceMin"),
    "any": _quantifier("ReduceMax"),
    "all": _quantifier("ReduceMin"),
    "cumsum": cumsum,
}
