"""The ONNX adapter: ops on graph values build a graph, so that export is a layer's `apply`.

Sizes that are known only at run time are `Dim`s and may stand wherever an op takes a size; ONNX's
own shape inference, node by node, keeps them and the known ones apart. The models are of opset 21
without extensions. Where onnxruntime's CPU differs from the other backends: types without a kernel
are computed in a wider one; float64 in float32 where that is all there is (convolutions, average
pooling, resizing, erf, det); uint64 beyond int64 in comparisons of extremes wraps; argmax takes NaN
for infinity.
"""

from __future__ import annotations

from kfun.backends import (
    _onnx_activation,
    _onnx_control,
    _onnx_convolution,
    _onnx_elementwise,
    _onnx_indexing,
    _onnx_matrix,
    _onnx_numeric,
    _onnx_reduction,
    _onnx_rnn,
    _onnx_shaping,
)
from kfun.backends._graph_rules import value_alone
from kfun.backends._onnx_constants import Constants as Constants
from kfun.backends._onnx_evaluate import evaluate
from kfun.backends._onnx_graph import model_of as model_of
from kfun.backends._onnx_value import Dim as Dim
from kfun.backends._onnx_value import Value as Value
from kfun.backends._onnx_value import as_value
from kfun.backends._onnx_value import graph_input as graph_input
from kfun.ops._kinds import Kind, register

RULES = {
    **_onnx_elementwise.RULES,
    **_onnx_activation.RULES,
    **_onnx_shaping.RULES,
    **_onnx_indexing.RULES,
    **_onnx_reduction.RULES,
    **_onnx_convolution.RULES,
    **_onnx_control.RULES,
    **_onnx_rnn.RULES,
    **_onnx_numeric.RULES,
    **_onnx_matrix.RULES,
}

_RANDOM = "random numbers are drawn before export; dropout and noise are inactive at inference (training=False)"
_DRAWN = ("split", "split_each", "fold_in", "bits", "uniform", "normal", "truncated_normal", "randint", "permutation")
_DRAWN += ("bernoulli", "categorical", "shuffle", "dropout", "gamma", "beta", "binomial")
REASONS = {f"random_{name}": _RANDOM for name in _DRAWN} | _onnx_numeric.REASONS | _onnx_matrix.REASONS
REASONS["convert_to_numpy"] = _onnx_shaping.NO_DATA  # constants have data, so there is a rule as well

TRANSFORMS = {"evaluate": evaluate, "custom_gradient": value_alone, "checkpoint": lambda fun: fun}

KIND = register(Kind("onnx", (Value, Dim), RULES, as_value, priority=10, reasons=REASONS, transforms=TRANSFORMS))
