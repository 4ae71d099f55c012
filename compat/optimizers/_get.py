"""Optimizers by name and as data."""

from __future__ import annotations

from typing import Any

from compat.optimizers._generated import CLASSES, of_definition
from compat.optimizers._optax import Optax
from compat.optimizers._optimizer import Optimizer
from compat.serialization.objects import deserialize_as, serialize_keras_object
from kfun import optim as _kfun
from kfun.errors import nearest

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
        return of_definition(identifier)
    if hasattr(identifier, "init") and hasattr(identifier, "update"):
        return Optax(identifier)
    raise ValueError(f"expected the name of an optimizer or an optimizer; received {identifier!r}")


def serialize(optimizer: Any) -> Any:
    """The optimizer as JSON data."""
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The optimizer of JSON data, or of a name."""
    if isinstance(config, str):
        return get(config)
    name = config.get("class_name") if isinstance(config, dict) else None
    if isinstance(name, str) and name in _LOWER:  # older files have names in lower case
        config = {**config, "class_name": _LOWER[name].__name__}
    return deserialize_as("optimizer", config, custom_objects)
