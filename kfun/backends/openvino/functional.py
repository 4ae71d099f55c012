"""Adaptive pooling, and what has no place in a graph, on OpenVINO."""

from __future__ import annotations

from collections.abc import Callable

from openvino import opset16 as o

from kfun.backends.common.windows import each
from kfun.backends.openvino.convolution import opened
from kfun.backends.openvino.value import cast, integers, promoted


def _adaptive(name: str) -> Callable:
    def rule(inputs, output_size, data_format=None):
        kept = promoted(inputs)
        dtype = promoted(inputs, floating=True)
        x, n, close = opened(inputs, data_format, "float32" if dtype in ("float16", "bfloat16") else dtype)
        sizes = integers(list(each(output_size, n)))
        if name == "average":
            return cast(close(o.adaptive_avg_pool(x, sizes).output(0)), dtype)
        return cast(close(o.adaptive_max_pool(x, sizes, "i32").output(0)), kept)

    return rule


RULES = {"adaptive_average_pool": _adaptive("average"), "adaptive_max_pool": _adaptive("max")}
