"""Runs a function of arrays as a graph of its own: how tests ask what an op computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from kfun import dtypes
from kfun.backends.common.tree import fill, leaves
from kfun.backends.onnx.constants import Constants
from kfun.backends.onnx.graph import model_of
from kfun.backends.onnx.value import Dim, as_value, cast, graph_input
from kfun.ops._kinds import backend


def evaluate(
    function: Callable, *arrays: Any, shapes: Sequence[Sequence[int | None]] | None = None, check: bool = False
) -> Any:
    """`function(*arrays)`, traced with graph inputs in the place of the arrays, and run by onnxruntime.

    Args:
        function: takes and gives pytrees of arrays.
        arrays: NumPy arrays.
        shapes: of the inputs in the graph, None for a size that is open; by default those of the arrays.
        check: whether to hold the model to the ONNX standard first.

    Returns:
        The results in the structure that `function` gives them; sizes as ints.
    """
    arrays = tuple(map(np.asarray, arrays))
    names = [f"x{i}" for i in range(len(arrays))]
    with backend("onnx"), Constants():
        # onnxruntime's Python interface has no narrow floats but float16: they go in and out as float32.
        kinds = [_carried(dtypes.name(x.dtype)) for x in arrays]
        given = shapes or [x.shape for x in arrays]
        inputs = [graph_input(*each) for each in zip(names, kinds, given, strict=True)]
        results = function(*[cast(v, dtypes.name(x.dtype)) for v, x in zip(inputs, arrays, strict=True)])
        values = [as_value(r) for r in leaves(results)]
        if not values:
            return results
        outputs = [cast(v, _carried(v.dtype)) for v in values]
        model = ir.to_proto(model_of(inputs, outputs, [f"y{i}" for i in range(len(outputs))]))
    if check:
        onnx.checker.check_model(model, full_check=True)
    import onnxruntime  # export alone does without

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {name: x.astype(kind, copy=False) for name, x, kind in zip(names, arrays, kinds, strict=True)}
    found = [a.astype(v.dtype, copy=False) for a, v in zip(session.run(None, feeds), values, strict=True)]
    pairs = zip(leaves(results), found, strict=True)
    return fill(results, (int(a) if isinstance(r, (int, Dim)) else a for r, a in pairs))


def _carried(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" or dtype in dtypes.FLOAT8 else dtype
