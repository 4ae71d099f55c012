"""The ONNX adapter: ops on graph values build a graph, so that export is a layer's `apply`.

Sizes that are known only at run time are `Dim`s and may stand wherever an op takes a size; ONNX's
own shape inference, node by node, keeps them and the known ones apart. The models are of opset 21
without extensions. Where onnxruntime's CPU differs from the other backends: types without a kernel
are computed in a wider one; float64 in float32 where that is all there is (convolutions, average
pooling, resizing, erf, det); uint64 beyond int64 in comparisons of extremes wraps; argmax takes NaN
for infinity.
"""

from __future__ import annotations

from kfun.backends.common import no_gradients
from kfun.backends.onnx import (
    activation,
    attention,
    bits,
    control,
    convolution,
    creation,
    elementwise,
    image,
    linalg,
    normalization,
    products,
    reduction,
    rnn,
    scattering,
    selection,
    shaping,
    signal,
    special,
)
from kfun.backends.onnx.evaluate import evaluate
from kfun.backends.onnx.reasons import REASONS
from kfun.backends.onnx.value import Dim, Value, as_value
from kfun.ops._kinds import Kind, register

RULES = {
    **activation.RULES,
    **attention.RULES,
    **bits.RULES,
    **control.RULES,
    **convolution.RULES,
    **creation.RULES,
    **elementwise.RULES,
    **image.RULES,
    **linalg.RULES,
    **normalization.RULES,
    **products.RULES,
    **reduction.RULES,
    **rnn.RULES,
    **scattering.RULES,
    **selection.RULES,
    **shaping.RULES,
    **signal.RULES,
    **special.RULES,
}

TRANSFORMS = {"evaluate": evaluate, **no_gradients.TRANSFORMS}

KIND = register(Kind("onnx", (Value, Dim), RULES, as_value, priority=10, reasons=REASONS, transforms=TRANSFORMS))
