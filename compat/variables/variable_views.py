"""Who owns the values of variables while a fit is running: the train state, not the variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compat.state import scope
from compat.variables.variable import Variable


class Later:
    """A state that is computed when somebody looks at it."""

    def __init__(self, compute: Callable):
        self.compute = compute


class Live:
    """A train state that a compiled step replaces, and the variables that are views of its values.

    A variable read meanwhile shows a copy, because the next step takes the memory of the values.

    Args:
        variables: a train state with lists of variables in place of their values.
        owned: whether the values are copies, whose memory a step may take.
    """

    def __init__(self, variables: Any, owned: bool = True):
        self.variables, self.owned = variables, owned
        values = type(variables)(*map(values_of, variables))
        self._state: Any = _copies(values) if owned else values
        self.changed = False
        self.looks = 0  # how often a variable was read or written
        self.seen = False  # whether that was between two batches of an epoch

    @property
    def state(self) -> Any:
        """The values."""
        if isinstance(self._state, Later):
            self._state = self._state.compute()
        return self._state

    @state.setter
    def state(self, new: Any) -> None:
        self._state = new

    @property
    def later(self) -> Later | None:
        """The state that nobody has looked at, if it is still to be computed."""
        return self._state if isinstance(self._state, Later) else None

    def __enter__(self) -> Live:
        for i, group in enumerate(self.variables):
            for j, variable in enumerate(group):
                variable._live = (self, (i, j))
        return self

    def __exit__(self, *exc: Any) -> None:
        for group, values in zip(self.variables, self.state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable._live, variable._value = None, value

    def read(self, place: tuple[int, int]) -> Any:
        """A copy of a value as it is now."""
        self.looks += 1
        return jnp.copy(self.state[place[0]][place[1]])

    def write(self, place: tuple[int, int], value: Any) -> None:
        """Replaces a value; the next step sees it."""
        self.looks += 1
        group = list(self.state[place[0]])
        group[place[1]] = jnp.copy(value)
        self.state = type(self.state)(*(group if i == place[0] else g for i, g in enumerate(self.state)))
        self.changed = True

    def take(self) -> Any:
        """The state if it was written to since the last call, else None."""
        changed, self.changed = self.changed, False
        return self.state if changed else None


@jax.jit
def _copies(values: Any) -> Any:
    return jax.tree.map(jnp.copy, values)


def values_of(variables: list[Variable]) -> list[Any]:
    """The present values."""
    return [v.value if v._value is None or v._live is not None else v._value for v in variables]


def given(groups: list[tuple[list[Variable], Any]]) -> scope.Scope:
    """A scope in which variables show the values of a train state."""
    inside = scope.Scope()
    for variables, values in groups:
        for variable, value in zip(variables, values, strict=True):
            inside.set(variable, value)
    return inside
