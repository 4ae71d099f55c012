"""Builds models that are not built yet, by an abstract run that computes nothing."""

from __future__ import annotations

from typing import Any

from compat.state import scope
from compat.state.keras_tensor import KerasTensor
from kfun import abstract
from kfun.graph import replace
from kfun.spec import Spec


def build_model(model: Any, inputs: tuple) -> Any:
    """Runs the model on specs so that every layer makes its variables; gives the output specs.

    Args:
        model: a layer or model.
        inputs: arrays, specs or symbolic tensors, in nested structures.
    """
    specs = _specs(inputs)
    leaves: list[Spec] = []

    def place(spec: Spec) -> _Place:
        leaves.append(spec)
        return _Place(len(leaves) - 1)

    structure = replace(specs, place, Spec)
    batch = next((t.shape[0] for t in getattr(model, "inputs", None) or [] if t.shape and t.shape[0] is not None), None)
    if batch is not None:  # a model for batches of one size
        leaves = [Spec((batch, *s.shape[1:]), s.dtype) if s.shape[:1] == (None,) else s for s in leaves]

    def run(*arrays: Any) -> Any:
        with scope.Scope(abstract=True):
            return model(*replace(structure, lambda p: arrays[p.index], _Place))

    return abstract.evaluate(run, *leaves)


class _Place:
    def __init__(self, index: int):
        self.index = index


def _specs(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _specs(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_specs(v) for v in tree)
    if isinstance(tree, KerasTensor):
        return tree.spec
    return tree if tree is None else Spec.of(tree)
