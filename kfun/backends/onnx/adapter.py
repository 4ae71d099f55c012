"""The ONNX adapter: ops on graph values build a graph, so that export is a layer's `apply`.

Sizes that are known only at run time are `Dim`s and may stand wherever an op takes a size; ONNX's
own shape inference, node by node, keeps them and the known ones apart. The models are of opset 21
without extensions. Where onnxruntime's CPU differs from the other backends: types without a kernel
are computed in a wider one; float64 in float32 where that is all there is (convolutions, average
pooling, resizing, erf, det); uint64 beyond int64 in comparisons of extremes wraps; argmax takes NaN
for infinity.
"""

from __future__ import annotations

from kfun.backends.graphs.graph_rules import value_alone
from kfun.backends.onnx import (
    activation,
    control,
    convolution,
    elementwise,
    indexing,
    matrix,
    numeric,
    reduction,
    rnn,
    shaping,
)
from kfun.backends.onnx.evaluate import evaluate
from kfun.backends.onnx.reasons import REASONS
from kfun.backends.onnx.value import Dim, Value, as_value
from kfun.ops._kinds import Kind, register

RULES = {
    **elementwise.RULES,
    **activation.RULES,
    **shaping.RULES,
    **indexing.RULES,
    **reduction.RULES,
    **convolution.RULES,
    **control.RULES,
    **rnn.RULES,
    **numeric.RULES,
    **matrix.RULES,
}

TRANSFORMS = {"evaluate": evaluate, "custom_gradient": value_alone, "checkpoint": lambda fun: fun}

KIND = register(Kind("onnx", (Value, Dim), RULES, as_value, priority=10, reasons=REASONS, transforms=TRANSFORMS))
