"""What generated recurrent layers and cells have beside their definitions: nested states, states that
are kept from call to call, and random keys that are counted as Keras counts them."""

from __future__ import annotations

import abc
from typing import Any

from compat.engine.generated import Generated, Part, new_part
from compat.layers._cells import (
    StackedRNNCells,
    advance_seeds,
    cells_of,
    definition_of,
    flat,
    keys_of,
    nested,
    structure_of,
    zeros_of,
)


class CarriedStates(Part):
    """The states that a stateful layer keeps: variables that, as in Keras, are no weights and in no file."""

    @property
    def weights(self) -> list:
        """None: states are not learned."""
        return []

    def save_own_variables(self, store: Any) -> None:
        """Writes nothing."""

    def load_own_variables(self, store: Any) -> None:
        """Reads nothing."""


class Recurrence(Generated):
    """Base of generated recurrent layers."""

    _seeded = "last"
    implementation = 2  # of Keras's two ways to the same numbers

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs.pop("implementation", None)  # configs of old versions have it; both ways give the same numbers
        super().__init__(*args, **kwargs)
        if "cell" in self._children:
            self._child("cell")

    @property
    def variables(self) -> list:
        """All variables, the cell's seed behind its weights."""
        found = super().variables
        seeds = {id(self.seed_generator.state)} if "seed_generator" in self.__dict__ else set()
        return [v for v in found if id(v) not in seeds] + [v for v in found if id(v) in seeds]

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Makes the variables for sequences of this shape."""
        self._make_variables(sequences_shape)

    def _run_build(self, shapes: dict) -> None:
        self.build(shapes.get("sequences_shape") or next(iter(shapes.values())))

    def _child(self, name: str) -> Any:
        if name == "states" and "_carried" not in self.__dict__:
            object.__setattr__(self, "_carried", new_part(name, self, CarriedStates))
        return super()._child(name)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Runs over time; the states that are given and returned are nested as the cell has them."""
        states = None if initial_state is None else flat(initial_state)
        outputs = self._apply((sequences,), {"initial_state": states, "mask": mask, "training": training})
        self._after_run()
        if not self.return_state:
            return outputs
        like = initial_state if isinstance(initial_state, (list, tuple)) else self._state_structure()
        return (outputs[0], *nested(outputs[1:], like))

    def _after_run(self) -> None:
        """What is to be done when the loop has run."""

    def _key(self, training: bool) -> Any:
        return keys_of(self, self.definition.cell.draws)

    def _state_sizes(self) -> list:
        """The sizes of the states, nested as Keras has them."""
        return list(self.definition.cell.state_size)

    def _state_structure(self) -> list:
        """What the states that are returned are nested like."""
        return self._state_sizes()

    @property
    def state_size(self) -> list:
        """The widths of the states."""
        return self._state_sizes()

    @property
    def states(self) -> Any:
        """The variables of the states that a stateful layer keeps, nested as the cell has them; else None."""
        carried = self.__dict__.get("_carried")
        return None if carried is None else nested(carried._own()[1], self._state_structure())

    def reset_state(self) -> None:
        """Sets the states that a stateful layer keeps to 0."""
        for variable in flat(self.states or []):
            variable.assign(zeros_of(variable.shape, variable.dtype))

    reset_states = reset_state

    def get_initial_state(self, batch_size: int) -> list:
        """The states before the first step, all 0."""
        return nested(
            [zeros_of((batch_size, size), self.compute_dtype) for size in flat(self._state_sizes())],
            self._state_sizes(),
        )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the outputs: that of the steps where there are some."""
        masks = flat(mask) or [None]
        mask = masks[0] if self.return_sequences else None
        return [mask, *(None for _ in self._state_sizes())] if self.return_state else mask

    def get_config(self) -> dict:
        """The constructor's arguments, in Keras's form."""
        config = super().get_config()
        if config.get("use_cudnn") == "auto":  # Keras leaves it out
            del config["use_cudnn"]
        return config


class GeneratedCell(Generated):
    """Base of generated cells."""

    _seeded = "last"

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """One step: `(outputs, states)`."""
        outputs, new = self._apply((inputs, *flat(states)), {"training": training})
        return outputs, list(new) if isinstance(states, (list, tuple)) else new[0]

    @property
    def state_size(self) -> Any:
        """The width of the state, or of each in a list."""
        sizes = list(self.definition.state_size)
        return sizes if len(sizes) > 1 else sizes[0]

    @property
    def output_size(self) -> int:
        """The width of the output."""
        return self.definition.output_size

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """The states before the first step, all 0."""
        return [zeros_of((batch_size, size), self.compute_dtype) for size in self.definition.state_size]


class RecurrenceOverCell(Recurrence, metaclass=abc.ABCMeta):
    """Base of `RNN`: the loop over a cell of ours, or one that a user wrote. LSTM and the like count among it."""

    def __init__(self, *args: Any, **kwargs: Any):
        if args:
            kwargs["cell"], args = args[0], args[1:]
        cell = kwargs.pop("cell", None)
        cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        definition_of(cell)  # which tells what is missing of a cell
        super().__init__(cell, *args, **kwargs)
        object.__setattr__(self, "cell", cell)  # as it is, where it is no layer

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The layer of a config, the cell included."""
        return cls(**config | {"cell": cells_of(config["cell"], custom_objects)})

    def _field(self, value: Any) -> Any:
        return definition_of(value) if value is self.__dict__.get("cell") else super()._field(value)

    def _key(self, training: bool) -> Any:
        return keys_of(self.cell)

    def _after_run(self) -> None:
        advance_seeds(self.cell)

    def _state_sizes(self) -> list:
        sizes = self.cell.state_size
        return list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]

    def _state_structure(self) -> list:
        return structure_of(self.cell) if isinstance(self.cell, StackedRNNCells) else self._state_sizes()

    def get_initial_state(self, batch_size: int) -> list:
        """The states before the first step: the cell's own, or all 0."""
        own = getattr(self.cell, "get_initial_state", None)
        if own is None:
            return super().get_initial_state(batch_size)
        states = own(batch_size=batch_size)
        return list(states) if isinstance(states, (list, tuple)) else [states]
