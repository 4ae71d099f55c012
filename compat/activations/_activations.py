"""Activations by name and as data."""

from __future__ import annotations

from typing import Any

from compat.serialization.objects import deserialize_keras_object, serialize_keras_object
from compat.serialization.registry import registered
from kfun import activations as _kfun
from kfun.activations import get as _get

globals().update(_kfun._BY_NAME)


def get(identifier: Any) -> Any:
    """The activation for a name, a function, a config, or None (linear)."""
    if isinstance(identifier, dict):
        return deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier not in _kfun._BY_NAME:
        found = registered(identifier)
        if found is not None:
            return found() if isinstance(found, type) else found
    return _get(identifier)


def serialize(activation: Any) -> Any:
    """The activation as JSON data: its name."""
    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The activation of JSON data."""
    found = deserialize_keras_object(config, custom_objects=custom_objects)
    return get(found) if isinstance(found, str) else found
