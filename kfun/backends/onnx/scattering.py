"""Scattering on ONNX."""

from __future__ import annotations

from kfun.backends.onnx.kernels import SCATTERED
from kfun.backends.onnx.value import as_value, cast, emit


def scatter_update(inputs, indices, updates, reduction=None):
    """As ONNX's ScatterND, which adds and multiplies fewer types than it moves."""
    if reduction not in (None, "add", "max", "min", "mul"):
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    x, indices = as_value(inputs), as_value(indices, "int64")
    wide = x.dtype if reduction is None else SCATTERED.get(x.dtype, x.dtype)
    updates = cast(as_value(updates, x.dtype), wide)
    made = emit("ScatterND", cast(x, wide), indices, updates, reduction=reduction or "none", shape=x.shape)
    return cast(made, x.dtype)


RULES = {
    "scatter_update": scatter_update,
}
