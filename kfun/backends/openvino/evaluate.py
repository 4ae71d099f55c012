"""Runs a function of arrays as a graph of its own: how tests ask what an op computes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset16 as o

from kfun import dtypes
from kfun.backends.common.tree import fill, leaves
from kfun.backends.openvino.value import Dim, Value, as_value, native, sharing
from kfun.ops._kinds import backend


@functools.cache
def _core() -> ov.Core:
    return ov.Core()


def evaluate(function: Callable, *arrays: Any, shapes: Sequence[Sequence[int | None]] | None = None) -> Any:
    """`function(*arrays)`, traced with graph inputs in the place of the arrays, compiled and run.

    Args:
        function: takes and gives pytrees of arrays.
        arrays: NumPy arrays.
        shapes: of the inputs in the graph, None for a size that is open; by default those of the arrays.

    Returns:
        The results in the structure that `function` gives them; sizes as ints.
    """
    parameters = []
    for x, shape in zip(map(np.asarray, arrays), shapes or [np.shape(x) for x in arrays], strict=True):
        sizes = ov.PartialShape([-1 if size is None else size for size in shape])
        parameters.append(o.parameter(sizes, native(dtypes.name(x.dtype))))
    with backend("openvino"), sharing():
        results = function(*map(Value, parameters))
        values = [as_value(r) for r in leaves(results)]
    model = ov.Model([o.result(v.output) for v in values], parameters)
    compiled = _core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = compiled([np.asarray(x) for x in arrays])
    found = [np.array(answers[i]) for i in range(len(values))]
    pairs = zip(leaves(results), found, strict=True)
    return fill(results, (int(a) if isinstance(r, (int, Dim)) else a for r, a in pairs))
