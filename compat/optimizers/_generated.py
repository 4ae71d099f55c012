"""Optimizers generated from kfun's definitions."""

from __future__ import annotations

from typing import Any

from compat.optimizers._optimizer import Optimizer
from compat.serialization import faces
from kfun import optim as _kfun


class Generated(Optimizer):
    """A face of a kfun optimizer."""

    definition_class: type

    def __init__(self, *args: Any, **kwargs: Any):
        self._arguments, _ = faces.bind(type(self).__name__, self._parameters, args, kwargs)
        self._begin(self.definition_class)

    @classmethod
    def of(cls, definition: Any) -> Any:
        """The stateful face of a definition."""
        found = CLASSES.get(type(definition).__name__)
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


def _make(name: str, base: type = Generated) -> type:
    definition = getattr(_kfun, name)
    parameters = {n: d for n, d in faces.parameters_of(definition).items() if n != "exclude_from_weight_decay"}
    parameters = faces.inserted(parameters, "gradient_accumulation_steps", {"name": None})
    body = {
        "definition_class": definition, "_parameters": parameters, "__doc__": faces.text_of(definition),
        "__module__": "compat.optimizers",
    }  # fmt: skip
    cls = type(name, (base,), body)
    faces.sign(cls, parameters)
    return cls


CLASSES = {
    n: _make(n)
    for n in (
        "SGD", "Adam", "Adamax", "Nadam", "Lamb", "Adagrad", "Adadelta", "RMSprop", "Adafactor", "Ftrl",
        "Lion", "Muon", "ScheduleFreeAdamW",
    )
}  # fmt: skip
CLASSES["AdamW"] = _make("AdamW", CLASSES["Adam"])
globals().update(CLASSES)
