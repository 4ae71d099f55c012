"""Questions about tensors and types."""

from __future__ import annotations

from typing import Any

from compat.backend import is_keras_tensor as is_keras_tensor
from compat.backend import standardize_dtype as standardize_dtype
from compat.state.keras_tensor import KerasTensor
from kfun.graph import tensors


def get_source_inputs(tensor: Any) -> list[Any]:
    """The inputs, as `Input` gives them, from which a symbolic tensor is computed.

    Raises:
        ValueError: if `tensor` is no symbolic tensor.
    """
    if not isinstance(tensor, KerasTensor):
        raise ValueError(f"get_source_inputs: expected a symbolic tensor; received {type(tensor).__name__}")
    return [tensor] if tensor.node is None else _sources(tensor)


def _sources(tensor: Any) -> list[Any]:
    found: dict[int, Any] = {}
    waiting, seen = [tensor], set()
    while waiting:
        node = waiting.pop().node
        if id(node) in seen:
            continue
        seen.add(id(node))
        inputs = list(node.inputs)
        if not inputs:
            found.update({id(t): t for t in tensors(node.outputs)})
        waiting += reversed(inputs)
    return list(found.values())
