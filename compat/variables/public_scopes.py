"""Public scopes: values that stand in for those of variables, a symbolic stage, names, devices."""

from __future__ import annotations

from typing import Any

import jax

from compat.state import naming, scope
from compat.variables.variable import Variable
from kfun import ops


class StatelessScope(scope.Scope):
    """Inside, variables show given values; what is assigned is kept by the scope, and no variable changes.

    Args:
        state_mapping: pairs `(variable, value)`.
        collect_losses: whether `losses` lists what `add_loss` was given inside.
        initialize_variables: part of Keras's signature. A variable that is made inside is drawn when its
            value is first needed, inside or outside, for both values.

    Raises:
        ValueError: if a key is no variable, or a value has another shape.
    """

    def __init__(self, state_mapping: Any = None, collect_losses: bool = False, initialize_variables: bool = True):
        super().__init__()
        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        for variable, value in state_mapping or []:
            self.add_update((variable, value))

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Makes a variable show a value: `(variable, value)`."""
        variable, value = update
        if not isinstance(variable, Variable):
            raise ValueError(
                f"StatelessScope: `mapping` goes from Variables to values. Received instead: {variable!r:.80}"
            )
        value = ops.cast(ops.convert_to_tensor(value), variable.dtype)
        if tuple(value.shape) != variable.shape:
            raise ValueError(
                "StatelessScope: each value of `mapping` has the shape of its "
                f"variable; {variable.path!r} has shape {variable.shape}; received a value of "
                f"shape {tuple(value.shape)}"
            )
        self.set(variable, value)

    def get_current_value(self, variable: Variable) -> Any:
        """The value of a variable inside; None if it was given and assigned none."""
        return self.get(variable)

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar to `losses`."""
        self.added.append((None, loss))

    @property
    def losses(self) -> list[Any]:
        """What `add_loss` was given inside, if losses are collected."""
        return [value for _, value in self.added] if self.collect_losses else []


class SymbolicScope(scope.Scope):
    """The symbolic stage: inside, only shapes count. Variables without a value show zeros, assignments do not last."""

    def __init__(self):
        super().__init__(abstract=True)

    def __enter__(self) -> SymbolicScope:
        outer = scope.current()
        if outer is not None:
            self.values, self.held = dict(outer.values), list(outer.held)
        super().__enter__()
        return self


class name_scope:
    """Variables made inside have `name/` in front of their path.

    Args:
        name: without "/".
        caller: who opens the scope; the same caller opening the same name right inside itself opens nothing.
        deduplicate: False opens it nevertheless.
        override_parent: a path that takes the place of the scopes around.

    Raises:
        ValueError: if `name` is no string or has a "/".
    """

    def __init__(self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None):
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"name_scope: expected a text without `/` as `name`. Received: name={name!r}")
        self.name, self.caller, self.deduplicate, self.override_parent = name, caller, deduplicate, override_parent

    def __enter__(self) -> name_scope:
        opener = id(self.caller), self.name
        if self.deduplicate and self.caller is not None and naming.opener() == opener:
            path = naming.here()
        elif self.override_parent is not None:
            path = f"{self.override_parent}/{self.name}" if self.override_parent else self.name
        else:
            path = naming.path_of(self.name)
        self._at = naming.at(path, opener)
        self._at.__enter__()
        return self

    def __exit__(self, *args: Any) -> None:
        self._at.__exit__(*args)


def device(device_name: Any) -> Any:
    """Arrays made inside are on a device.

    Args:
        device_name: `"cpu:0"`, `"gpu:1"`, `"tpu:0"`, a kind alone for its first device, or a `jax.Device`.

    Raises:
        ValueError: if there is no such device; names those that there are.
    """
    if not isinstance(device_name, str):
        if not isinstance(device_name, jax.Device):
            raise ValueError(f"device: expected a name like 'gpu:0' or a jax.Device; received {device_name!r}")
        return jax.default_device(device_name)
    kind, _, number = device_name.lower().partition(":")
    kind = "gpu" if kind == "cuda" else kind
    try:
        found = jax.devices(kind)
    except RuntimeError:
        found = []
    index = int(number) if number.isdigit() else 0 if not number else -1
    if not 0 <= index < len(found):
        kinds = {"cpu", jax.default_backend()}
        known = sorted(f"{k}:{i}" for k in kinds for i in range(len(jax.devices(k))))
        raise ValueError(f"device: there is no {device_name!r}; known: {', '.join(known)}")
    return jax.default_device(found[index])
