"""`summary`: a table of a layer's parts, their outputs and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kfun import abstract
from kfun.layer import Layer, planned
from kfun.spec import Spec
from kfun.weights import Weight, dtype_of_weight, flat_weights


def _sizes(declared: dict) -> tuple[int, int]:
    trained = other = 0
    for value in declared.values():
        if isinstance(value, Weight):
            n = int(np.prod(value.shape))
            trained, other = (trained + n, other) if value.trainable else (trained, other + n)
        else:
            a, b = _sizes(value)
            trained, other = trained + a, other + b
    return trained, other


def _flat(declared: dict, prefix: str = "") -> list[tuple[str, Weight]]:
    rows = []
    for name, value in declared.items():
        path = f"{prefix}/{name}" if prefix else name
        rows += [(path, value)] if isinstance(value, Weight) else _flat(value, path)
    return rows


def table(layer: Layer, *specs: Any) -> Table:
    """The summary as a rich table; shows itself in notebooks."""
    specs = tuple(map(Spec.of, specs))
    declared: dict = {}

    def run(*arrays):
        tree, outputs = planned(layer, arrays, {})
        declared.update(flat_weights(tree))
        return outputs

    outputs = abstract.evaluate(run, *specs)
    shown = Table(title=f"{type(layer).__name__}  {_shape(specs)} -> {_shape(outputs)}", title_justify="left")
    for header in ("weight", "shape", "dtype", "size", "trained"):
        shown.add_column(header, justify="right" if header == "size" else "left")
    for path, weight in _flat(declared):
        dtype = dtype_of_weight(weight, layer.policy)
        size = f"{int(np.prod(weight.shape)):,}"
        shown.add_row(path, str(weight.shape), dtype, size, "yes" if weight.trainable else "no")
    trained, other = _sizes(declared)
    shown.caption = f"{trained + other:,} numbers: {trained:,} trained, {other:,} state"
    return shown


def _shape(tree: Any) -> str:
    if isinstance(tree, Spec):
        return str(tree.shape)
    items = tree.values() if isinstance(tree, dict) else tree
    shapes = [_shape(t) for t in items]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def summary(layer: Layer, *specs: Any, file: Any = None) -> None:
    """Prints a table of a layer's weights for inputs of the given specs.

    Args:
        layer: any layer; composites show the paths of their parts.
        specs: a `Spec` or an array per input.
        file: where to print, standard output by default.
    """
    Console(file=file).print(table(layer, *specs))
