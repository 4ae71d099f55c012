"""Layer normalization on ONNX: its own operation where that applies."""

from __future__ import annotations

import numpy as np

from kfun.backends.graphs.graph_rules import axes_of, known
from kfun.backends.onnx import shaping
from kfun.backends.onnx.value import as_value, cast, constant, emit
from kfun.ops._dispatch import OPS
from kfun.ops.normalization import EPSILON


def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None):
    """Native over the last axes; half precision is computed in float32."""
    epsilon = EPSILON if epsilon is None else epsilon
    x = as_value(x)
    axes = sorted(axes_of(axis, x.ndim))
    sizes = x.shape[axes[0] :] if axes else ()
    last = axes == list(range(x.ndim - len(axes), x.ndim)) and axes
    if not last or not known(sizes) or x.dtype not in ("float32", "float16", "bfloat16"):
        return OPS["layer_normalization"].body(x, gamma, beta, axis, epsilon)
    scale = constant(np.ones(sizes, "float32")) if gamma is None else shaping.reshape(as_value(gamma, "float32"), sizes)
    offset = None if beta is None else shaping.reshape(as_value(beta, "float32"), sizes)
    made = emit("LayerNormalization", cast(x, "float32"), scale, offset, axis=axes[0], epsilon=float(epsilon))
    return cast(made, x.dtype)


RULES = {
    "layer_normalization": layer_normalization,
}
