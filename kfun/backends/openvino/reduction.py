"""Reductions on OpenVINO.

The CPU sums integers as float32: totals above 2**24 are rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.graphs.graph_rules import accumulator, axes_of
from kfun.backends.openvino import elementwise, shaping
from kfun.backends.openvino.elementwise import where
from kfun.backends.openvino.promotion import broadcasting, truth
from kfun.backends.openvino.shaping import ordered
from kfun.backends.openvino.value import Value, as_value, cast, integers, promoted, stored_axis


def _argument(mode: str) -> Any:
    """argmax and argmin: the first index of the extreme; NaN counts as infinite."""
    beyond = np.inf if mode == "max" else -np.inf

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        if dtypes.is_float(x.dtype):
            x = where(broadcasting(o.is_nan, (x,), x.dtype), beyond, x)
        rank = x.ndim
        flat = shaping.reshape(x, (-1,)) if axis is None else x
        at = 0 if axis is None else axis
        indices = ordered(flat, 1, at, mode)[1]
        if axis is None:
            return shaping.reshape(indices, (1,) * rank if keepdims else ())
        return indices if keepdims else shaping.squeeze(indices, at)

    return rule


def _reduce(make: Callable, x: Value, axis: Any, keepdims: bool) -> Value:
    axes = axes_of(axis, x.ndim)
    if not axes:
        return x
    if dtypes.is_integer(x.dtype):
        # The CPU reduces integers as float32 anyway, but fuses arithmetic behind that wrongly: sum(x) - 1 of shape
        # (4, 3, 5) gave -5 in the last rows (2026.4).
        return cast(_reduce(make, cast(x, "float32"), axes, keepdims), x.dtype)
    if x.deferred:
        stored = [stored_axis(a, x.ndim) for a in axes]
        rest = [stored_axis(a, x.ndim) for a in range(x.ndim) if a not in axes]
        if keepdims:
            return Value(first=make(x.first, integers(stored), True))
        if rest == sorted(rest):
            return Value(make(x.first, integers(stored), False))
    return Value(make(x.output, integers(axes), keepdims))


def _total(make: Callable) -> Callable:
    """Sums and products of small integers are int32, of unsigned ones uint32."""

    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        return _reduce(make, cast(x, accumulator(x.dtype)), axis, keepdims)

    return rule


def mean(x, axis=None, keepdims=False):
    return _reduce(o.reduce_mean, as_value(x, promoted(x, floating=True)), axis, keepdims)


def _extreme(make: Callable, logical: Callable) -> Callable:
    def rule(x, axis=None, keepdims=False):
        x = as_value(x)
        return _reduce(logical if x.dtype == "bool" else make, x, axis, keepdims)

    return rule


def logsumexp(x, axis=None, keepdims=False):
    """The maximum of a row of minus infinities is a finite number on the CPU, so it is not used twice."""
    x = as_value(x, promoted(x, floating=True))
    axes = axes_of(axis, x.ndim)
    top = RULES["max"](x, axes, True)
    top = where(elementwise.RULES["isfinite"](top), top, 0)
    scaled = elementwise.RULES["exp"](elementwise.RULES["subtract"](x, top))
    total = elementwise.RULES["add"](elementwise.RULES["log"](RULES["sum"](scaled, axes, True)), top)
    return total if keepdims else shaping.squeeze(total, axes)


def _quantifier(make: Callable) -> Callable:
    return lambda x, axis=None, keepdims=False: _reduce(make, truth(x), axis, keepdims)


def cumsum(x, axis=None, dtype=None):
    x = as_value(x)
    x = cast(x, dtype or ("int32" if x.dtype == "bool" else x.dtype))
    if axis is None:
        x, axis = shaping.reshape(x, (-1,)), 0
    (axis,) = axes_of([axis], x.ndim)
    return Value(o.cum_sum(x.output, integers(axis)))


RULES = {
    "argmax": _argument("max"),
    "argmin": _argument("min"),
    "sum": _total(o.reduce_sum),
    "prod": _total(o.reduce_prod),
    "mean": mean,
    "max": _extreme(o.reduce_max, o.reduce_logical_or),
    "min": _extreme(o.reduce_min, o.reduce_logical_and),
    "logsumexp": logsumexp,
    "any": _quantifier(o.reduce_logical_or),
    "all": _quantifier(o.reduce_logical_and),
    "cumsum": cumsum,
}
