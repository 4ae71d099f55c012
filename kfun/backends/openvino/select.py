"""Selection and scattering on openvino."""

from __future__ import annotations

from openvino import opset16 as o

from kfun.backends.openvino import indexing as indexing
from kfun.backends.openvino.elementwise import elementwise, truth, where
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
    ends = cast(indexing.getitem(ends, slice(0, indices.shape[-1])), "int32")
    indices = where(elementwise(o.less, (indices, 0), "int32"), elementwise(o.add, (indices, ends), "int32"), indices)
    made = o.scatter_nd_update(cast(x, wide).output, indices.output, updates.output, _REDUCTIONS[reduction])
    return cast(Value(made), x.dtype)


def nonzero(x):
    x = as_value(x)
    found = Value(o.non_zero(truth(x).output, "i32"))  # [rank, count]
    return tuple(indexing.getitem(found, i) for i in range(x.ndim))


RULES = {"scatter_update": scatter_update, "nonzero": nonzero}
