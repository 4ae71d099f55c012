"""`Around`: the base of optimizers around others."""

from __future__ import annotations

from typing import Any

from compat.optimizers._optimizer import Optimizer
from compat.serialization.objects import serialize_keras_object
from compat.state.paths import by_path
from compat.variables.variable import Variable


class Around(Optimizer):
    """Base of optimizers around others, whose variables follow its own."""

    _shares: list[tuple[Optimizer, dict[str, Variable]]]  # those inside, each with what it trains by the whole's paths

    def _inner(self) -> list[Optimizer]:
        """The optimizers inside."""
        raise NotImplementedError(f"{type(self).__name__} must define _inner()")

    def _share_out(self, variables: dict[str, Variable]) -> None:
        """Sets `_shares`."""
        raise NotImplementedError(f"{type(self).__name__} must define _share_out(variables)")

    def build(self, variables: list[Variable]) -> None:
        if self.built:
            return
        self._trained, by_paths = list(variables), by_path(variables)
        self._params = list(by_paths)
        self._share_out(by_paths)
        for part, own in self._shares:
            part.build(list(own.values()))
            part.check_trains(own.values())
            part._inside = True
            self._variables += part.variables
        self.built = True

    @property
    def use_ema(self) -> bool:
        """Whether an optimizer inside keeps a moving average."""
        return any(part.use_ema for part in self._inner())

    def finalize_variable_values(self, var_list: Any) -> None:
        """Sets the variables to their moving average, each as its optimizer has it."""
        for part in self._inner():
            part.finalize_variable_values(var_list)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Names variables that no optimizer inside decays."""
        for part in self._inner():
            part.exclude_from_weight_decay(var_list, var_names)

    def _made(self) -> Any:
        """None: those inside have their transformations."""

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {name: serialize_keras_object(getattr(self, name)) for name in self._parameters}
