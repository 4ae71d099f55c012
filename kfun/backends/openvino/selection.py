"""Selection by values on OpenVINO."""

from __future__ import annotations

from openvino import opset16 as o

from kfun.backends.openvino import shaping
from kfun.backends.openvino.promotion import truth
from kfun.backends.openvino.value import Value, as_value


def nonzero(x):
    x = as_value(x)
    found = Value(o.non_zero(truth(x).output, "i32"))  # [rank, count]
    return tuple(shaping.getitem(found, i) for i in range(x.ndim))


RULES = {
    "nonzero": nonzero,
}
