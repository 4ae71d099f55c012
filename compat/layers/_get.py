"""Layers as data."""

from __future__ import annotations

from typing import Any

from compat.serialization.objects import deserialize_as, serialize_keras_object


def serialize(layer: Any) -> Any:
    """The layer as JSON data."""
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The layer of JSON data."""
    if config is None:
        raise ValueError("layers.deserialize: expected the data of a layer; received None")
    return deserialize_as("layer", config, custom_objects)
