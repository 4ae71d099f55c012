"""Optimizers: stateful objects around kfun's definitions, or around any optax transformation."""

from __future__ import annotations

from typing import Any

from compat._unknown import unknown_names_of
from compat.core import faces
from compat.optimizers import schedules as schedules
from compat.optimizers._generated import Generated as _Generated
from compat.optimizers._loss_scale import LossScaleOptimizer as LossScaleOptimizer
from compat.optimizers._multi import MultiOptimizer as MultiOptimizer
from compat.optimizers._multi import OptimizerMap as OptimizerMap
from compat.optimizers._optax import Optax as _Optax
from compat.optimizers._optimizer import Optimizer as Optimizer
from compat.saving.serialization import deserialize_as
from kfun import optim as _kfun
from kfun.errors import nearest


def _make(name: str, base: type = _Generated) -> type:
    definition = getattr(_kfun, name)
    parameters = {n: d for n, d in faces.parameters_of(definition).items() if n != "exclude_from_weight_decay"}
    parameters = faces.inserted(parameters, "gradient_accumulation_steps", {"name": None})
    body = {
        "definition_class": definition, "_parameters": parameters, "__doc__": faces.text_of(definition),
        "__module__": __name__,
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
_LOWER = {n.lower(): c for n, c in CLASSES.items()}


def get(identifier: Any) -> Any:
    """The optimizer for a name in any case, an optimizer, a class, a config, a kfun definition or an optax
    transformation.

    Raises:
        ValueError: if no optimizer has that name; names the nearest ones.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier.lower() not in _LOWER:
            raise ValueError(f"unknown optimizer {identifier!r}; {nearest(identifier.lower(), _LOWER)}")
        return _LOWER[identifier.lower()]()
    if isinstance(identifier, type):
        return identifier()
    if isinstance(identifier, _kfun.Optimizer):
        return _Generated.of(identifier)
    if hasattr(identifier, "init") and hasattr(identifier, "update"):
        return _Optax(identifier)
    raise ValueError(f"expected the name of an optimizer or an optimizer; received {identifier!r}")


def with_loss_scale(optimizer: Any) -> Any:
    """The optimizer with a dynamic loss scale, for float16 training."""
    return optimizer if isinstance(optimizer, LossScaleOptimizer) else LossScaleOptimizer(optimizer)


def serialize(optimizer: Any) -> Any:
    """The optimizer as JSON data."""
    from compat.saving import serialize_keras_object

    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The optimizer of JSON data, or of a name."""
    if isinstance(config, str):
        return get(config)
    name = config.get("class_name") if isinstance(config, dict) else None
    if isinstance(name, str) and name in _LOWER:  # older files have names in lower case
        config = {**config, "class_name": _LOWER[name].__name__}
    return deserialize_as("optimizer", config, custom_objects)


__getattr__ = unknown_names_of(globals())
