"""Scattering on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun.backends.openvino import shaping
from kfun.backends.openvino.elementwise import where
from kfun.backends.openvino.promotion import broadcasting
from kfun.backends.openvino.value import Value, as_value, cast, integers

_REDUCTIONS = {None: "none", "add": "sum", "max": "max", "min": "min", "mul": "prod"}
_COMPUTED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32"}
_COMPUTED |= {"float16": "float32", "bfloat16": "float32"}


def scatter_update(inputs, indices, updates, reduction=None):
    if reduction not in _REDUCTIONS:
        raise ValueError(f"ops.scatter_update: expected reduction None, add, max, min or mul; received {reduction!r}")
    x, indices = as_value(inputs), as_value(indices, "int32")
    wide = _COMPUTED.get(x.dtype, x.dtype)
    updates = cast(as_value(updates, x.dtype), wide)
    ends = Value(integers(x.shape))
    ends = cast(shaping.getitem(ends, slice(0, indices.shape[-1])), "int32")
    indices = where(broadcasting(o.less, (indices, 0), "int32"), broadcasting(o.add, (indices, ends), "int32"), indices)
    made = o.scatter_nd_update(cast(x, wide).output, indices.output, updates.output, _REDUCTIONS[reduction])
    return cast(Value(made), x.dtype)


RULES = {
    "scatter_update": scatter_update,
}
