"""`summary`: a table of a layer's weights, or of the arrays of any tree: shapes, dtypes, bytes, where they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from kfun import abstract, dtypes, tree
from kfun.layer import Layer, planned
from kfun.spec import Spec
from kfun.weights import Weight, dtype_of_weight, flat_weights, spec_tree

_STEP = "  "  # a level of nesting


class _Row(NamedTuple):
    """An array, drawn or only declared."""

    path: str
    shape: tuple
    dtype: str
    bytes: int
    trained: bool | None  # None where the tree does not tell
    sharding: str = ""

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def table(shown: Any, *specs: Any, params: Any = None, state: Any = None) -> Table:
    """The summary as a rich table, which shows itself in notebooks. Arguments as in `summary`."""
    if isinstance(shown, Layer):
        rows, title = _of_layer(shown, specs)
        if params is not None:
            rows = [*_of_tree(params, True), *_of_tree(state or {}, False)]
    elif specs or params is not None or state is not None:
        raise TypeError(f"summary: specs, params and state go with a layer; received {type(shown).__name__}")
    else:
        rows, title = list(_of_tree(shown, None)), type(shown).__name__
    return _drawn(rows, title)


def _of_layer(layer: Layer, specs: tuple) -> tuple[list[_Row], str]:
    if not specs:
        return [], type(layer).__name__
    specs = spec_tree(specs)
    declared: dict = {}

    def run(*arrays):
        weights, outputs = planned(layer, arrays, {})
        declared.update(flat_weights(weights))
        return outputs

    outputs = abstract.evaluate(run, *specs)
    return list(_of_declared(declared, layer)), f"{type(layer).__name__}  {_shape(specs)} -> {_shape(outputs)}"


def _of_declared(declared: dict, layer: Layer, inside: str = "") -> Iterator[_Row]:
    for name, value in declared.items():
        if isinstance(value, Weight):
            dtype = dtype_of_weight(value, layer.policy)
            size = math.prod(value.shape) * jax.numpy.dtype(dtype).itemsize
            yield _Row(inside + name, value.shape, dtype, size, value.trainable)
        else:
            yield from _of_declared(value, layer, f"{inside}{name}/")


def _of_tree(values: Any, trained: bool | None) -> Iterator[_Row]:
    for path, leaf in tree.flatten(values).items():
        shape, dtype = tuple(np.shape(leaf)), getattr(leaf, "dtype", None)
        named = type(leaf).__name__ if dtype is None else _dtype(dtype)
        size = getattr(leaf, "nbytes", None)
        if size is None:  # of what has no bytes yet, and of frameworks that do not tell
            size = 0 if dtype is None else math.prod(shape) * jax.numpy.dtype(named).itemsize
        yield _Row(path, shape, named, int(size), trained, _sharding(leaf))


def _dtype(dtype: Any) -> str:
    try:
        return dtypes.name(dtype)
    except (TypeError, ValueError):
        return str(dtype)  # a key's


def _sharding(leaf: Any) -> str:
    """How an array is spread over devices, empty if it is whole on one."""
    sharding = getattr(leaf, "sharding", None)
    count = len(getattr(sharding, "device_set", ()))
    if count < 2:
        return ""
    spec = getattr(sharding, "spec", None)
    axes = "whole" if not spec else ", ".join(_axis(part) for part in spec)
    return f"{axes} on {count}" if spec is not None else f"{type(sharding).__name__} on {count}"


def _axis(part: Any) -> str:
    if part is None:
        return "-"
    return "+".join(map(str, part)) if isinstance(part, tuple) else str(part)


def _drawn(rows: list[_Row], title: str) -> Table:
    # The widths of borders are names' at 80 columns.
    shown = Table(title=title, caption=_totals(rows), title_justify="left", caption_justify="left")
    shown.box, shown.padding, shown.pad_edge = box.SIMPLE_HEAD, (0, 1, 0, 0), False
    tells, spread = any(r.trained is not None for r in rows), any(r.sharding for r in rows)
    for header in ["weight", "shape", "dtype", "size", "bytes", *["trained"] * tells, *["sharding"] * spread]:
        right, wraps = header in ("size", "bytes"), header in ("weight", "sharding")
        shown.add_column(header, justify="right" if right else "left", no_wrap=not wraps, overflow="fold")
    nested: dict = {}
    for row in rows:
        *groups, name = row.path.split("/")
        inside = nested
        for group in groups:
            inside = inside.setdefault((group,), {})
        inside[name] = row
    _add(shown, nested, "", tells, spread)
    return shown


def _add(shown: Table, nested: dict, indent: str, tells: bool, spread: bool) -> None:
    for name, row in nested.items():
        if isinstance(row, _Row):
            told = [{True: "yes", False: "no", None: ""}[row.trained]] * tells + [row.sharding] * spread
            shown.add_row(indent + name, str(row.shape), row.dtype, f"{row.count:,}", in_bytes(row.bytes), *told)
        else:
            within = list(_leaves(row))
            size, nbytes = sum(r.count for r in within), sum(r.bytes for r in within)
            shown.add_row(indent + name[0], "", "", f"{size:,}", in_bytes(nbytes), style="bold")
            _add(shown, row, indent + _STEP, tells, spread)


def _leaves(nested: dict) -> Iterator[_Row]:
    for value in nested.values():
        if isinstance(value, _Row):
            yield value
        else:
            yield from _leaves(value)


def _totals(rows: list[_Row]) -> str:
    parts = {"trained": True, "state": False}
    total = f"{sum(r.count for r in rows):,} numbers, {in_bytes(sum(r.bytes for r in rows))}"
    if not any(r.trained is not None for r in rows):
        return total
    said = []
    for name, trained in parts.items():
        of = [r for r in rows if r.trained is trained]
        said.append(f"{sum(r.count for r in of):,} {name} ({in_bytes(sum(r.bytes for r in of))})")
    return f"{total}: {', '.join(said)}"


def in_bytes(count: int) -> str:
    """A number of bytes as text: `"12 B"`, `"3.4 KiB"`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def _shape(specs: Any) -> str:
    if isinstance(specs, Spec):
        return str(specs.shape)
    items = specs.values() if isinstance(specs, Mapping) else specs
    shapes = [_shape(t) for t in items]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def summary(shown: Any, *specs: Any, params: Any = None, state: Any = None, file: Any = None) -> None:
    """Prints a table of weights, nested by path: shapes, dtypes, numbers, bytes, and how they are spread over devices.

    Args:
        shown: a layer, or any tree of arrays, such as params, a state of an optimizer, or what a checkpoint has.
        specs: for a layer, a `Spec` or an array per input: the weights that it declares for them.
        params, state: for a layer, arrays to show in place of what it declares.
        file: where to print, standard output by default.
    """
    Console(file=file).print(table(shown, *specs, params=params, state=state))
