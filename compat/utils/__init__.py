"""Utilities: data, files, images, labels, seeds, the session."""

from __future__ import annotations

import importlib as _importlib
from typing import Any as _Any

from compat.saving.serialization import deserialize_keras_object as deserialize_keras_object
from compat.saving.serialization import serialize_keras_object as serialize_keras_object
from compat.serialization.registry import CustomObjectScope as CustomObjectScope
from compat.serialization.registry import custom_object_scope as custom_object_scope
from compat.serialization.registry import get_custom_objects as get_custom_objects
from compat.serialization.registry import get_registered_name as get_registered_name
from compat.serialization.registry import get_registered_object as get_registered_object
from compat.serialization.registry import register_keras_serializable as register_keras_serializable

# What is not needed to build and train a model is imported when it is asked for.
_NAMES = {
    "PyDataset": "_py_dataset", "UnsafeArchiveError": "_archives", "Config": "_config",
    "set_random_seed": "_session", "clear_session": "_session", "to_categorical": "_session", "normalize": "_session",
    "audio_dataset_from_directory": "_audio_dataset", "image_dataset_from_directory": "_image_dataset",
    "text_dataset_from_directory": "_text_dataset", "timeseries_dataset_from_array": "_timeseries",
    "split_dataset": "_split", "pad_sequences": "_sequences", "get_file": "_files",
    "pack_x_y_sample_weight": "_packing", "unpack_x_y_sample_weight": "_packing",
    "array_to_img": "_images", "img_to_array": "_images", "load_img": "_images", "save_img": "_images",
    "get_source_inputs": "_tensors", "is_keras_tensor": "_tensors", "standardize_dtype": "_tensors",
    "Progbar": "progbar", "plot_model": "_plot", "model_to_dot": "_plot",
}  # fmt: skip
_MODULES = ("bounding_boxes", "legacy")


def __getattr__(name: str) -> _Any:
    if name == "Sequence":  # the name of `PyDataset` in Keras 2
        name = "PyDataset"
    if name in _NAMES:
        value = getattr(_importlib.import_module(f"compat.utils.{_NAMES[name]}"), name)
    elif name in _LOGGING:
        value = getattr(_importlib.import_module("compat.core.messages"), name)
    elif name in _MODULES:
        value = _importlib.import_module(f"compat.utils.{name}")
    else:
        from compat._unknown import unknown_names_of

        return unknown_names_of({**globals(), **_NAMES, **dict.fromkeys(_LOGGING)})(name)
    globals()[name] = value
    return value


_LOGGING = ("disable_interactive_logging", "enable_interactive_logging", "is_interactive_logging_enabled")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_LOGGING, *_MODULES, "Sequence"})
