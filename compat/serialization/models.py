"""Models of the data that describe them."""

from __future__ import annotations

from typing import Any

from compat.serialization.objects import deserialize_keras_object
from compat.serialization.parts import part


def model_of(config: Any, custom_objects: dict | None = None) -> Any:
    """The model of a file's config; whatever is wrong with the config is a ValueError."""
    with part("the file's config"):
        model = deserialize_keras_object(config, custom_objects=custom_objects)
    if not hasattr(model, "load_weights"):
        raise ValueError(f"the file holds a {type(model).__name__}, not a model")
    return model
