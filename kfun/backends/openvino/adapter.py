"""The OpenVINO adapter: ops on graph values build a graph, so that export is a layer's `apply`.

Sizes that are known only at run time are `Dim`s and may stand wherever an op takes a size. Where
the CPU differs from the other backends: int64 and uint32 are computed as int32, sums of integers
as float32; relu, clip and the extremes over an axis may give a number for NaN; and the maximum of
a row of minus infinities is finite.
"""

from __future__ import annotations

from kfun.backends.common import no_gradients
from kfun.backends.openvino import (
    activation,
    attention,
    bits,
    control,
    convolution,
    creation,
    elementwise,
    image,
    linalg,
    products,
    reduction,
    rnn,
    scattering,
    selection,
    shaping,
    signal,
    special,
)
from kfun.backends.openvino.evaluate import evaluate
from kfun.backends.openvino.reasons import REASONS
from kfun.backends.openvino.value import Dim, Value, as_value
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

KIND = register(Kind("openvino", (Value, Dim), RULES, as_value, priority=10, reasons=REASONS, transforms=TRANSFORMS))
