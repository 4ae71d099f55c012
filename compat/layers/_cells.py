"""Cells: several as one, and cells that a user wrote, as definitions that kfun's loop runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from compat.engine.abstract_build import build_model
from compat.engine.generated import Generated
from compat.engine.layer import Layer
from compat.serialization.faces import _EMPTY
from compat.serialization.objects import deserialize_as
from compat.serialization.registry import claim
from compat.state import naming, scope
from kfun import layers as _kfun
from kfun import ops
from kfun.spec import Spec


def flat(tree: Any) -> list:
    """The leaves of nested lists and tuples."""
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in flat(item)]
    return [tree]


def nested(leaves: Any, like: Any) -> Any:
    """`leaves` in lists as `like` is nested."""
    return _filled(iter(leaves), like)


def _filled(leaves: Iterator, like: Any) -> Any:
    return [_filled(leaves, item) for item in like] if isinstance(like, (list, tuple)) else next(leaves)


def structure_of(cell: Any) -> Any:
    """What the states of a cell are nested like where nobody gave them, as Keras's `get_initial_state` nests them."""
    if isinstance(cell, StackedRNNCells):
        return [structure_of(inner) for inner in cell.cells]
    sizes = cell.state_size
    return sizes if isinstance(sizes, (list, tuple)) or not hasattr(cell, "get_initial_state") else [sizes]


def zeros_of(shape: tuple, dtype: str) -> Any:
    """Zeros, for states before the first step."""
    return ops.zeros(shape, dtype)


def keys_of(layer: Any, draws: int | None = None) -> Any:
    """The random key of a layer's call, of each cell if it is a stack of cells; None if it draws nothing.

    Like Keras, it goes through the seeds of all masks, also when the call is not in training.
    """
    if isinstance(layer, StackedRNNCells):
        return tuple(keys_of(cell) for cell in layer.cells)
    generator = layer.__dict__.get("seed_generator") if isinstance(layer, Generated) else None
    draws = 0 if generator is None else layer.definition.draws if draws is None else draws
    if not draws:
        return None
    key = generator.next()
    for _ in range(draws - 1):
        generator.next()
    return key


def definition_of(cell: Any, within: str = "") -> Any:
    """The kfun cell of a cell of ours, or around one that a user wrote.

    Args:
        cell: a layer or another object with `call` and `state_size`.
        within: the name of the stack of cells that it is in.

    Raises:
        ValueError: if it has no `call` or no `state_size`.
    """
    missing = [name for name in ("call", "state_size") if not hasattr(type(cell), name) and not hasattr(cell, name)]
    if missing or isinstance(cell, type):
        raise ValueError(
            f"expected a cell, an object with a method call(inputs, states) and an attribute state_size; received "
            f"{cell!r}, which lacks {' and '.join(missing) or 'an instance'}. A whole layer such as LSTM is no cell: "
            "call it on the sequence, or take LSTMCell"
        )
    return cell.definition if isinstance(cell, Generated) else UserCell(cell, within)


class UserCell(_kfun.Cell):
    """A cell that a user wrote. Its variables are its own, and are read as they are when the loop runs.

    What the cell draws from seeds inside the loop is the same at every step, and other numbers at the
    next call. Other variables cannot change inside the loop.
    """

    cell: Any
    within: str = ""

    def check(self):
        sizes = flat(self.cell.state_size)
        if not all(isinstance(size, (int, np.integer)) for size in sizes):
            raise ValueError(
                f"{self._label}: state_size: expected an integer, or one for each state in a list; received "
                f"{self.cell.state_size!r}"
            )

    @property
    def _label(self) -> str:
        return f"{type(self.cell).__name__} {getattr(self.cell, 'name', '')!r}"

    @property
    def _sizes(self) -> list:
        sizes = self.cell.state_size
        return list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]

    @property
    def state_size(self):
        return tuple(flat(self._sizes))

    @property
    def output_size(self):
        size = getattr(self.cell, "output_size", None)
        return self.state_size[0] if size is None else size

    def output_spec(self, *specs):
        x = Spec.of(specs[0])
        out = Spec((*x.shape[:-1], self.output_size), x.dtype)
        return out, tuple(Spec(shape, x.dtype) for shape in self.state_shapes(x))

    def weights(self, x, *states):
        """Nothing: the cell is built here, and holds its variables."""
        cell = self.cell
        if isinstance(cell, Layer) and not all(layer.built for layer in cell._all_layers()):
            given = nested([Spec(shape, x.dtype) for shape in self.state_shapes(x)], self._sizes)
            if self.within:
                with naming.under(self.within):
                    build_model(cell, (x, given))
            else:
                build_model(cell, (x, given))
        return {}

    def state_shapes(self, x):
        own = getattr(self.cell, "get_initial_state", None)
        if own is None:
            return super().state_shapes(x)
        batch = x.shape[0]
        made = flat(own(batch_size=1 if batch is None else batch))
        return tuple((batch, *tuple(state.shape)[1:]) for state in made)

    def zeros(self, params, x):
        own = getattr(self.cell, "get_initial_state", None)
        if own is None:
            return super().zeros(params, x)
        return tuple(ops.cast(state, x.dtype) for state in flat(own(batch_size=ops.shape(x)[0])))

    def step(self, params, x, states, masks):
        with _Inside() as inside:
            call = self.cell if callable(self.cell) else self.cell.call
            y, new = call(x, nested(states, self._sizes))
        inside.report(self.cell, self._label)
        return y, tuple(flat(new))


class _Inside(scope.Scope):
    """The scope of a step: it sees what is around it, and lets nothing out of the loop."""

    def __init__(self):
        around = scope.current()
        super().__init__(abstract=around is not None and around.abstract)
        if around is not None:
            self.values, self.held = dict(around.values), list(around.held)
        self.writes: dict[int, tuple[Any, int]] = {}

    def set(self, variable: Any, value: Any) -> None:
        _, count = self.writes.get(id(variable), (variable, 0))
        self.writes[id(variable)] = (variable, count + 1)
        super().set(variable, value)

    def report(self, cell: Any, label: str) -> None:
        """Notes how often the step drew from each seed.

        Raises:
            ValueError: if it changed other variables, or added losses, which are inside the loop.
        """
        drawn = cell.__dict__.setdefault("_kf_drawn", {})
        for key, (variable, count) in self.writes.items():
            if variable.path.endswith("seed_generator_state"):
                drawn[key] = (variable, count)
            elif not self.abstract:
                raise ValueError(
                    f"the cell {label} changes the variable {variable.path!r} in a step: inside the loop over time "
                    "only states go from step to step. Make it a state, or change it after the RNN's call"
                )
        if self.added and not self.abstract:
            raise ValueError(
                f"the cell {label} adds a loss in a step, which cannot leave the loop over time. Regularize the RNN's "
                "output (activity_regularizer) or the cell's weights (add_weight(regularizer=...))"
            )


def advance_seeds(cell: Any) -> None:
    """Moves the seeds that a user-written cell drew from in the loop on, so that the next call draws anew."""
    if isinstance(cell, StackedRNNCells):
        for inner in cell.cells:
            advance_seeds(inner)
    elif not isinstance(cell, Generated):
        for variable, count in cell.__dict__.pop("_kf_drawn", {}).values():
            variable.assign(ops.add(variable.value, np.array([0, count], np.uint32)))


_PROGRAM = 1 << 18  # bytes that a cell takes in the program of a step, which has them all


class StackedRNNCells(Generated):
    """Cells one on top of the other, as one cell. The states are a list with those of each cell.

    Args:
        cells: the cells, from the inputs up: of ours, or objects with `call(inputs, states)` and `state_size`.
    """

    definition_class = _kfun.StackedRNNCells
    _parameters = {"cells": _EMPTY}

    def __init__(self, cells: Any, **kwargs: Any):
        Layer.__init__(self, **kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ValueError(f"StackedRNNCells: cells: expected one cell or more in a list; received {cells!r}")
        self.cells = list(cells)
        object.__setattr__(
            self, "_kf_definition", _kfun.StackedRNNCells(tuple(definition_of(c, self.name) for c in cells))
        )

    @property
    def definition(self) -> Any:
        """The kfun definition of the cells."""
        return self._kf_definition

    @property
    def state_size(self) -> list:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The width of the last cell's output."""
        return self.definition.output_size

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """The states of each cell before the first step."""
        return [_first_states(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def _child(self, name: str) -> Any:
        cell = self.cells[int(name.removeprefix("cells_"))]
        cell._kf.built_in = f"{self._kf.built_in or self.name}/{cell.name}"
        return cell

    def _key(self, training: bool) -> Any:
        return keys_of(self)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list]:
        """One step: `(outputs, states)`, the states nested as they are given."""
        outputs, new = self._apply((inputs, *flat(states)), {"training": training})
        advance_seeds(self)
        return outputs, nested(new, states)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the cells included."""
        return cls(**config | {"cells": cells_of(config["cells"], custom_objects)})


def cells_of(data: Any, custom_objects: dict | None) -> Any:
    """The cell, or the cells, of data; there may not be any number of them."""
    if isinstance(data, (list, tuple)):
        claim(_PROGRAM * len(data), f"a stack of {len(data):,} cells")
        return [deserialize_as("cell", cell, custom_objects) for cell in data]
    return deserialize_as("cell", data, custom_objects)


def _first_states(cell: Any, batch_size: int | None, dtype: str) -> Any:
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return own(batch_size=batch_size)
    sizes = cell.state_size
    return nested([zeros_of((batch_size, size), dtype) for size in flat(sizes)], sizes)
