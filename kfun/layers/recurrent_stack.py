"""`StackedRNNCells`: several cells as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kfun.layer import declared_by
from kfun.layers.checks import label
from kfun.layers.recurrent_cells import Cell
from kfun.layers.regularization import counted
from kfun.spec import Spec


class StackedRNNCells(Cell):
    """Cells one on top of the other, as one cell whose states are theirs in order.

    Args:
        cells: the cells, from the inputs up; their parameters sit under `cells_0`, `cells_1`, ...

    Shapes:
        x `[B, C]`; result `(y, states)`, y `[B, output_size]` from the last cell and the states of
        all cells in one flat tuple, the first cell's first.
    """

    cells: tuple

    def check(self):
        if not isinstance(self.cells, tuple) or not self.cells or not all(isinstance(c, Cell) for c in self.cells):
            raise TypeError(f"{label(self)}: cells: expected one cell or more; received {self.cells!r}")

    @property
    def state_size(self):
        return tuple(size for cell in self.cells for size in cell.state_size)

    @property
    def output_state(self):
        return sum(len(cell.state_size) for cell in self.cells[:-1]) + self.cells[-1].output_state

    @property
    def output_size(self):
        return self.cells[-1].output_size

    @property
    def draws(self):
        return sum(cell.draws for cell in self.cells)

    def weights(self, x, *states):
        weights = {}
        for i, (cell, step) in enumerate(self._inputs(x)):
            own = declared_by(cell, step)
            if own:
                weights[f"cells_{i}"] = own
        return weights

    def state_shapes(self, x):
        return tuple(shape for cell, step in self._inputs(x) for shape in cell.state_shapes(step))

    def zeros(self, params, x):
        """The states of all cells; each sees the output of the one before, which the first state tells the size of."""
        made: list = []
        for i, cell in enumerate(self.cells):
            own = cell.zeros(params.get(f"cells_{i}", {}), x)
            made += own
            x = own[cell.output_state]
        return tuple(made)

    def masks(self, key, x, states):
        """The masks of each cell, in a tuple; `key` may be a tuple with a key for each."""
        made = []
        for i, (cell, own) in enumerate(zip(self.cells, self.parted(states), strict=True)):
            each = key[i] if isinstance(key, tuple) else counted(key, 100 * i) if key is not None else None
            made.append(cell.masks(each, x, own))
            x = own[cell.output_state]
        return tuple(made)

    def step(self, params, x, states, masks):
        new = []
        for i, (cell, own) in enumerate(zip(self.cells, self.parted(states), strict=True)):
            x, own = cell.step(params.get(f"cells_{i}", {}), x, own, masks[i] if masks else None)
            new += own
        return x, tuple(new)

    def parted(self, states: Any) -> list[tuple]:
        """The flat states as a tuple for each cell."""
        parts, states = [], tuple(states)
        for cell in self.cells:
            parts.append(states[: len(cell.state_size)])
            states = states[len(cell.state_size) :]
        return parts

    def _inputs(self, x: Spec) -> Iterator[tuple[Cell, Spec]]:
        """Each cell with the spec of its input."""
        for cell in self.cells:
            yield cell, x
            x = cell.output_spec(x)[0]
