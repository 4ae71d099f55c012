"""Whose values variables show right now.

Inside a `Scope` variables read and write its values, so that any code over variables, user-written
layers and models included, is a pure function from values to values.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

_current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("compat_scope", default=None)
_autocast: contextvars.ContextVar[str | None] = contextvars.ContextVar("compat_autocast", default=None)


class Scope:
    """Values that stand in for those of variables, and what a call inside leaves behind.

    Args:
        values: `{variable: value}` to begin with.
        abstract: whether a variable without a value shows zeros instead of drawing its weights,
            as in an abstract run, where only shapes count.
        collect_losses: whether `add_loss` inside is kept here rather than on the layers.
    """

    def __init__(self, values: dict | None = None, abstract: bool = False, collect_losses: bool = True):
        self.values: dict[int, Any] = {}
        self.held: list[Any] = []  # keeps the variables alive whose ids are keys
        self.abstract, self.collect_losses = abstract, collect_losses
        self.added: list[Any] = []  # `(layer, loss)` of each `add_loss`
        for variable, value in (values or {}).items():
            self.set(variable, value)

    def set(self, variable: Any, value: Any) -> None:
        """Makes `variable` show `value` inside this scope."""
        if id(variable) not in self.values:
            self.held.append(variable)
        self.values[id(variable)] = value

    def get(self, variable: Any) -> Any:
        """The value of `variable` inside this scope, None if it has none."""
        return self.values.get(id(variable))

    def child(self) -> Scope:
        """A scope that begins with the values and losses of this one and leaves it as it is."""
        made = Scope(abstract=self.abstract, collect_losses=self.collect_losses)
        made.values, made.held, made.added = dict(self.values), list(self.held), list(self.added)
        return made

    def __enter__(self) -> Scope:
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        _current.reset(self._token)


current = _current.get  # the innermost scope, None outside of all


@contextlib.contextmanager
def autocast(dtype: str | None) -> Iterator[None]:
    """Floating variables show themselves in `dtype` inside; None shows them as they are."""
    token = _autocast.set(dtype)
    try:
        yield
    finally:
        _autocast.reset(token)


autocast_dtype = _autocast.get  # the type that floating variables show themselves in, None for their own
