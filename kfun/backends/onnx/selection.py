"""Selection by values on ONNX."""

from __future__ import annotations

from kfun.backends.onnx.promotion import truth
from kfun.backends.onnx.shaping import getitem
from kfun.backends.onnx.value import as_value, cast, emit


def nonzero(x):
    x = as_value(x)
    found = cast(emit("NonZero", truth(x)), "int32")  # [rank, count]
    return tuple(getitem(found, i) for i in range(x.ndim))


RULES = {
    "nonzero": nonzero,
}
