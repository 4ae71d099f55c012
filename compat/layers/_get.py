"""Layers as data."""

from __future__ import annotations

from typing import Any

from compat.serialization.objects import deserialize_keras_object, serialize_keras_object


def serialize(layer: Any) -> Any:
    """The layer as JSON data."""
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The layer of JSON data."""
    return deserialize_keras_object(config, custom_objects=custom_objects)
