"""The table that `Model.summary` prints."""

from __future__ import annotations

import io
import re
import shutil
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compat.engine.layer import Layer
from compat.models._elements import Element, elements, is_chain, output_shapes, owners
from compat.state.messages import say
from kfun.layer import Layer as Definition


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
        line_length: the width; by default what Keras takes, as far as the terminal is wide enough.
        positions: where the columns end: shares of the width, or numbers of characters.
        print_fn: called once with the text; prints by default.
        expand_nested: whether to show the layers of inner models.
        show_trainable: whether to mark what is trained.
        layer_range: names (or patterns) of the first and the last layer to show.

    Raises:
        ValueError: if `positions` are not as many as columns, or `layer_range` names no layers.
    """
    found = elements(model)
    graph = not is_chain(model)
    headers = ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * graph + ["Trainable"] * show_trainable
    line_length, widths = _widths(line_length, positions, graph, show_trainable)
    table = Table(show_lines=True, width=line_length)
    for header, width in zip(headers, widths, strict=True):
        justify = "right" if header == "Param #" else "center" if header == "Trainable" else "left"
        table.add_column(header, justify=justify, width=width)
    known = owners(found)
    for element, depth in _rows(_between(found, layer_range), expand_nested):
        cells = [_title(element, depth), _text(output_shapes(element)), _count(element)]
        cells += [_sources(element, known)] * graph + [_mark(element)] * show_trainable
        table.add_row(*map(escape, cells))
    text = io.StringIO()
    width, terminal = shutil.get_terminal_size()[0], _goes_to_a_terminal(print_fn)
    console = Console(file=text, width=width, highlight=False, force_terminal=terminal or None)
    console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
    console.print(table)
    for line in _totals(model):
        console.print(line)
    if print_fn is None:
        say(text.getvalue(), end="")
    else:
        print_fn(text.getvalue())


def _goes_to_a_terminal(print_fn: Any) -> bool:
    return print_fn is None and sys.stdout.isatty()


def _widths(length: int | None, positions: Any, graph: bool, trainable: bool) -> tuple[int, list[int]]:
    """The width of the table and of the columns, with Keras's defaults."""
    wide = length or min((108 if graph else 88) + 12 * trainable, shutil.get_terminal_size()[0] - 4)
    columns = 3 + graph + trainable
    if positions is None:
        ends = [0.3, 0.56, 0.74, 1.0] if graph else [0.45, 0.8, 1.0]
        ends = [0.9 * end for end in ends] + [1.0] if trainable else ends
    else:
        ends = list(positions)[:columns]
        if len(ends) < columns or sorted(ends) != ends:
            raise ValueError(f"summary: expected {columns} rising positions, the ends of the columns; received {ends}")
    if ends[-1] <= 1:
        ends = [int(end * wide) for end in ends]
    return wide, [b - a for a, b in zip([0, *ends], ends, strict=False)]


def _between(found: list[Element], names: Any) -> list[Element]:
    if not names:
        return found
    if len(names) != 2:
        raise ValueError(f"summary: expected layer_range=[first name, last name]; received {names!r}")
    places = [[i for i, e in enumerate(found) if e.name == n or re.match(n, e.name)] for n in names]
    if not places[0] or not places[1]:
        raise ValueError(f"summary: layer_range {names} names no layers; the model has {[e.name for e in found]}")
    bounds = min(places[0]), max(places[1])
    return found[min(bounds) : max(bounds) + 1]


def _rows(found: list[Element], expand: bool, depth: int = 0) -> Any:
    for element in found:
        yield element, depth
        if expand and element.inner is not None:
            yield from _rows(elements(element.inner), expand, depth + 1)


def _title(element: Element, depth: int) -> str:
    return f"{'   ' * depth}{'└ ' if depth else ''}{element.name} ({element.kind})"


def _text(shape: Any) -> str:
    if isinstance(shape, dict):
        return ", ".join(f"{k}: {v}" for k, v in shape.items())
    return "?" if shape is None else str(shape)


def _count(element: Element) -> str:
    layer = element.layer
    return "0" if layer is None else f"{layer.count_params():,}" if _is_built(layer) else "0 (unbuilt)"


def _is_built(layer: Any) -> bool:
    """Whether the number of weights is known: also of layers that have none to build."""
    return layer.built or not (hasattr(layer, "layers") or _makes_weights(layer))


def _makes_weights(layer: Any) -> bool:
    declares = getattr(getattr(layer, "definition_class", None), "weights", None)
    if declares is not None:
        return declares is not Definition.weights
    return type(layer).build is not Layer.build


def _mark(element: Element) -> str:
    layer = element.layer
    return "-" if layer is None or not layer.weights else "Y" if layer.trainable else "N"


def _sources(element: Element, known: dict[int, tuple[Element, int]]) -> str:
    names = []
    for node in element.calls:
        if id(node) not in known:
            continue
        for tensor in node.inputs:
            if id(tensor.node) in known:
                source, number = known[id(tensor.node)]
                names.append(f"{source.name}[{number}][{tensor.index}]")
    return ", ".join(names) or "-"


def _totals(model: Any) -> list[str]:
    trained, others = _sizes(model.trainable_weights), _sizes(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    extra = _sizes(optimizer.variables) if optimizer is not None and optimizer.built else None
    groups = [("Trainable", trained), ("Non-trainable", others)] + ([("Optimizer", extra)] if extra else [])
    total = (sum(g[1][0] for g in groups), sum(g[1][1] for g in groups))
    return [f" {name} params: {count:,} ({_memory(size)})" for name, (count, size) in [("Total", total), *groups]]


def _sizes(variables: list[Any]) -> tuple[int, float]:
    """How many numbers variables hold, and in how many bytes."""
    count, size = 0, 0.0
    for variable in variables:
        numbers = 1
        for length in variable.shape:
            numbers *= length
        bits = 8 if variable.dtype == "bool" else int(re.findall(r"\d+", variable.dtype)[0])
        count, size = count + numbers, size + numbers * bits / 8
    return count, size


def _memory(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"
