"""Activations by name and as data."""

from __future__ import annotations

from typing import Any

from compat.serialization.kinds import check
from compat.serialization.objects import deserialize_as, serialize_keras_object
from compat.serialization.registry import registered
from kfun import activations as _kfun
from kfun.activations import get as _get

globals().update(_kfun._BY_NAME)


def get(identifier: Any) -> Any:
    """The activation for a name, a function, a config, or None (linear)."""
    if isinstance(identifier, dict):
        return deserialize_as("activation", identifier)
    if isinstance(identifier, str) and identifier not in _kfun._BY_NAME:
        found = registered(identifier)
        if found is not None:
            check("activation", found)
            return found() if isinstance(found, type) else found
    return _get(identifier)


def serialize(activation: Any) -> Any:
    """The activation as JSON data: its name."""
    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The activation of JSON data, or of a name."""
    return get(config) if isinstance(config, str) else deserialize_as("activation", config, custom_objects)
