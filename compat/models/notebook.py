"""Models as tables in notebooks."""

from __future__ import annotations

import html
from typing import Any

from compat.state.keras_tensor import KerasTensor
from kfun.graph import replace

_MOST = 60  # layers that are shown; the middle of larger models is left out


def model_html(model: Any) -> str:
    """A table of a model's layers, their output shapes and sizes."""
    layers = list(model.layers)
    rows = [_row(layer) for layer in layers]
    if len(rows) > _MOST:
        left_out = f"<tr><td colspan='4'>… {len(rows) - _MOST} more layers …</td></tr>"
        rows = [*rows[: _MOST // 2], left_out, *rows[-_MOST // 2 :]]
    if not model.built:
        total = "not built yet: call it on data, or build it"
    else:
        trained = sum(_size(v) for v in model.trainable_weights)
        total = f"{sum(_size(v) for v in model.weights):,} parameters, {trained:,} of them trainable"
    head = "<tr><th>layer</th><th>type</th><th>output shape</th><th>parameters</th></tr>"
    return (
        f"<div><b>{html.escape(type(model).__name__)}</b> {html.escape(repr(model.name))}: {total}"
        f"<table>{head}{''.join(rows)}</table></div>"
    )


def _row(layer: Any) -> str:
    count = f"{sum(_size(v) for v in layer.weights):,}" if layer.built else "not built"
    cells = (layer.name, type(layer).__name__, _output(layer), count)
    return "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(c)}</td>" for c in cells) + "</tr>"


def _output(layer: Any) -> str:
    nodes = layer._kf.nodes
    return str(replace(nodes[0].outputs, lambda t: tuple(t.shape), KerasTensor)) if nodes else ""


def _size(variable: Any) -> int:
    count = 1
    for length in variable.shape:
        count *= length
    return count
