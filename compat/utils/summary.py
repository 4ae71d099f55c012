"""The table that `Model.summary` prints."""

from __future__ import annotations

import io
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compat.core.keras_tensor import KerasTensor
from compat.core.layer import Layer
from kfun.graph import replace, tensors


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    print_fn: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Prints the layers of a model, their output shapes and sizes.

    Args:
        model: a model; its layers are shown as far as they are built.
        line_length: the width; by default that of the terminal.
        positions: relative or absolute ends of the columns; only their number of columns' widths matter.
        print_fn: called with the text; prints by default.
        expand_nested: whether to show the layers of inner models.
        show_trainable: whether to mark what is trained.
        layer_range: names (or patterns) of the first and the last layer to show.
    """
    table = Table(box=box.HEAVY_HEAD, show_lines=True, title_justify="left", width=line_length)
    widths = _widths(positions, line_length)
    graph = len(getattr(model, "inputs", None) or []) > 0 and not _is_chain(model)
    headers = ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * graph + ["Trainable"] * show_trainable
    for i, header in enumerate(headers):
        justify = "right" if header == "Param #" else "center" if header == "Trainable" else "left"
        table.add_column(header, justify=justify, overflow="fold", width=widths[i] if i < len(widths) else None)
    for layer, depth in _rows(_between(model.layers, layer_range), expand_nested):
        cells = [f"{'   ' * depth}{layer.name} ({type(layer).__name__})", _output(layer), _count(layer)]
        cells += [_sources(layer, model)] * graph + [_mark(layer)] * show_trainable
        table.add_row(*map(escape, cells))
    text = io.StringIO()
    console = Console(file=text if print_fn else None, width=line_length, highlight=False)
    console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
    console.print(table)
    for line in _totals(model):
        console.print(line)
    if print_fn is not None:
        for line in text.getvalue().splitlines():
            print_fn(line)


def _widths(positions: Any, line_length: int | None) -> list[int]:
    if not positions or not line_length:
        return []
    ends = [int(p * line_length) if p <= 1 else int(p) for p in positions]
    return [b - a for a, b in zip([0, *ends], ends, strict=False)]


def _is_chain(model: Any) -> bool:
    """Whether every layer has one input, the output of the layer before."""
    return all(len(layer._kf.nodes) <= 1 and all(len(n.inputs) <= 1 for n in layer._kf.nodes) for layer in model.layers)


def _between(layers: list[Layer], names: Any) -> list[Layer]:
    if not names:
        return layers
    import re

    found = [[i for i, layer in enumerate(layers) if layer.name == n or re.match(n, layer.name)] for n in names]
    if not found[0] or not found[1]:
        raise ValueError(f"summary: layer_range {names} names no layers; the model has {[x.name for x in layers]}")
    return layers[min(found[0]) : max(found[1]) + 1]


def _rows(layers: list[Layer], expand: bool, depth: int = 0) -> Any:
    for layer in layers:
        yield layer, depth
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer.layers, expand, depth + 1)


def _output(layer: Any) -> str:
    nodes = layer._kf.nodes
    if nodes:
        return _text(replace(nodes[0].outputs, lambda t: t.shape, KerasTensor))
    try:
        return _text(layer.output_shape)
    except AttributeError:
        return "?" if layer.built else "? (unbuilt)"


def _text(shape: Any) -> str:
    if isinstance(shape, dict):
        return "\n".join(f"{k}: {v}" for k, v in shape.items())
    if isinstance(shape, (list, tuple)) and shape and isinstance(shape[0], (list, tuple)):
        return ", ".join(str(s) for s in shape)
    return str(shape)


def _count(layer: Any) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _mark(layer: Any) -> str:
    return "-" if not layer.weights else "Y" if layer.trainable_weights else "N"


def _sources(layer: Any, model: Any) -> str:
    known = {id(layer_) for layer_ in model.layers}
    names = []
    for node in layer._kf.nodes[:1]:
        for tensor in tensors((node.args, node.kwargs)):
            source = tensor.node.target if tensor.node is not None else None
            if source is None:
                continue
            name = source.name if id(source) in known else getattr(source, "__name__", getattr(source, "name", "?"))
            names.append(f"{name}[{tensor.index}]")
    return ", ".join(names) or "-"


def _totals(model: Any) -> list[str]:
    weights = model.weights
    trained = {id(v) for v in model.trainable_weights}
    sizes = [(id(v) in trained, *_size(v)) for v in weights]

    def total(wanted: Any) -> str:
        chosen = [s for s in sizes if wanted is None or s[0] is wanted]
        count, memory = sum(s[1] for s in chosen), sum(s[2] for s in chosen)
        return f"{count:,} ({_memory(memory)})"

    lines = [
        f" Total params: {total(None)}",
        f" Trainable params: {total(True)}",
        f" Non-trainable params: {total(False)}",
    ]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        extra = [_size(v) for v in optimizer.variables]
        lines.append(f" Optimizer params: {sum(c for c, _ in extra):,} ({_memory(sum(m for _, m in extra))})")
    return lines


def _size(variable: Any) -> tuple[int, int]:
    count = 1
    for s in variable.shape:
        count *= s
    bits = {"bool": 8, "bfloat16": 16}.get(variable.dtype) or int("".join(c for c in variable.dtype if c.isdigit())[:2])
    return count, count * bits // 8


def _memory(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024
    return ""
