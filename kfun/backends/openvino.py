"""The OpenVINO adapter: ops on graph values build a graph, so that export is a layer's `apply`.

Sizes that are known only at run time are `Dim`s and may stand wherever an op takes a size. Where
the CPU differs from the other backends: int64 and uint32 are computed as int32, sums of integers
as float32; relu, clip and the extremes over an axis may give a number for NaN; and the maximum of
a row of minus infinities is finite.
"""

from __future__ import annotations

from kfun.backends import _openvino_import  # isort: skip # noqa: F401 - before any other import of openvino
from kfun.backends import (
    _openvino_activation,
    _openvino_control,
    _openvino_convolution,
    _openvino_elementwise,
    _openvino_functional,
    _openvino_indexing,
    _openvino_matrix,
    _openvino_numeric,
    _openvino_reduction,
    _openvino_rnn,
    _openvino_select,
    _openvino_shaping,
)
from kfun.backends._openvino_evaluate import evaluate
from kfun.backends._openvino_value import Dim as Dim
from kfun.backends._openvino_value import Value as Value
from kfun.backends._openvino_value import as_value
from kfun.backends._openvino_value import native as native
from kfun.backends._openvino_value import sharing as sharing
from kfun.ops._kinds import Kind, register

RULES = {
    **_openvino_numeric.RULES,
    **_openvino_select.RULES,
    **_openvino_matrix.RULES,
    **_openvino_functional.RULES,
    **_openvino_elementwise.RULES,
    **_openvino_activation.RULES,
    **_openvino_shaping.RULES,
    **_openvino_indexing.RULES,
    **_openvino_reduction.RULES,
    **_openvino_convolution.RULES,
    **_openvino_control.RULES,
    **_openvino_rnn.RULES,
}

_RANDOM = "random numbers are drawn before export; dropout and noise are inactive at inference (training=False)"
REASONS = {f"random_{name}": _RANDOM for name in ("split", "fold_in", "bits", "uniform", "normal", "truncated_normal")}
REASONS |= {f"random_{name}": _RANDOM for name in ("randint", "permutation", "bernoulli", "categorical")}
REASONS["convert_to_numpy"] = _openvino_shaping.NO_DATA  # constants have data, so there is a rule as well
REASONS |= (
    _openvino_numeric.REASONS | _openvino_select.REASONS | _openvino_matrix.REASONS | _openvino_functional.REASONS
)

TRANSFORMS = {"evaluate": evaluate, **_openvino_functional.TRANSFORMS}

KIND = register(Kind("openvino", (Value, Dim), RULES, as_value, priority=10, reasons=REASONS, transforms=TRANSFORMS))
