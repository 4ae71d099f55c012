"""Saving and loading of objects, weights and whole models."""

from typing import Any

from compat.saving.serialization import CustomObjectScope as CustomObjectScope
from compat.saving.serialization import custom_object_scope as custom_object_scope
from compat.saving.serialization import deserialize_keras_object as deserialize_keras_object
from compat.saving.serialization import get_custom_objects as get_custom_objects
from compat.saving.serialization import get_registered_name as get_registered_name
from compat.saving.serialization import get_registered_object as get_registered_object
from compat.saving.serialization import register_keras_serializable as register_keras_serializable
from compat.saving.serialization import registered as registered
from compat.saving.serialization import serialize_keras_object as serialize_keras_object

_FILES = ("save_model", "load_model", "save_weights", "load_weights")


def __getattr__(name: str) -> Any:
    if name in _FILES:
        from compat.saving import files

        return getattr(files, name)
    if name == "KerasFileEditor":
        from compat.saving.editor import KerasFileEditor

        return KerasFileEditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
