"""Saving and loading of objects, weights and whole models."""

from compat.serialization.objects import deserialize_keras_object as deserialize_keras_object
from compat.serialization.objects import serialize_keras_object as serialize_keras_object
from compat.serialization.registry import CustomObjectScope as CustomObjectScope
from compat.serialization.registry import custom_object_scope as custom_object_scope
from compat.serialization.registry import get_custom_objects as get_custom_objects
from compat.serialization.registry import get_registered_name as get_registered_name
from compat.serialization.registry import get_registered_object as get_registered_object
from compat.serialization.registry import register_keras_serializable as register_keras_serializable
from compat.serialization.registry import registered as registered
from kfun.errors import unknown_names_of as _unknown_names_of

_LATER = dict.fromkeys(("save_model", "load_model", "save_weights", "load_weights"), "compat.saving.files")
__getattr__ = _unknown_names_of(globals(), _LATER | {"KerasFileEditor": "compat.saving.editor"})
