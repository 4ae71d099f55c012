"""Optimizers generated from kfun's definitions."""

from __future__ import annotations

from typing import Any

from compat.core import faces
from compat.optimizers._optimizer import Optimizer


class Generated(Optimizer):
    """A face of a kfun optimizer."""

    definition_class: type

    def __init__(self, *args: Any, **kwargs: Any):
        self._arguments, _ = faces.bind(type(self).__name__, self._parameters, args, kwargs)
        self._begin(self.definition_class)

    @classmethod
    def of(cls, definition: Any) -> Any:
        """The stateful face of a definition."""
        from compat import optimizers

        found = optimizers.CLASSES.get(type(definition).__name__)
        if found is None:
            raise ValueError(f"{type(definition).__name__} has no stateful face; give its build() instead")
        made = found.__new__(found)
        made._arguments = {n: getattr(definition, n) for n in found._parameters if n != "name"}
        made._arguments["name"] = definition.prefix()
        made.definition = definition
        made._setup(definition.prefix(), definition.build())
        return made

    def _made(self) -> Any:
        return self.definition.build()

    def get_config(self) -> dict:
        """The constructor's arguments, the learning rate as it is now."""
        config = super().get_config()
        if "exclude_layers" in config:  # Muon's: Keras has an empty list for None
            config["exclude_layers"] = config["exclude_layers"] or []
        return config
