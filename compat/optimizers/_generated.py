"""Optimizers generated from kfun's definitions."""

from __future__ import annotations

from typing import Any

from compat.optimizers._optimizer import Optimizer
from compat.serialization import faces
from kfun import optim as _kfun


def _make(name: str, base: type = Optimizer) -> type:
    definition, after = getattr(_kfun, name), "gradient_accumulation_steps"
    cls: Any = faces.face(base, definition, "compat.optimizers", extra={"name": None}, after=after)
    del cls._parameters["exclude_from_weight_decay"]
    faces.sign(cls, cls._parameters)
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


def of_definition(definition: Any) -> Any:
    """The stateful face of a definition."""
    found = CLASSES.get(type(definition).__name__)
    if found is None:
        raise ValueError(f"{type(definition).__name__} has no stateful face; give its build() instead")
    arguments = {name: getattr(definition, name) for name in found._parameters} | {"name": definition.prefix()}
    made: Any = found(**arguments)
    made._replace(exclude_from_weight_decay=definition.exclude_from_weight_decay)
    return made
