"""Utilities: data, files, images, labels, seeds, the session."""

from __future__ import annotations

import importlib as _importlib
from typing import Any as _Any

from compat.serialization.objects import deserialize_keras_object as deserialize_keras_object
from compat.serialization.objects import serialize_keras_object as serialize_keras_object
from compat.serialization.registry import CustomObjectScope as CustomObjectScope
from compat.serialization.registry import custom_object_scope as custom_object_scope
from compat.serialization.registry import get_custom_objects as get_custom_objects
from compat.serialization.registry import get_registered_name as get_registered_name
from compat.serialization.registry import get_registered_object as get_registered_object
from compat.serialization.registry import register_keras_serializable as register_keras_serializable
from kfun.errors import unknown_names_of as _unknown_names_of

# What is not needed to build and train a model is imported when it is asked for.
_NAMES = {
    "PyDataset": "_py_dataset", "UnsafeArchiveError": "_archives", "Config": "_config",
    "to_categorical": "_arrays", "normalize": "_arrays",
    "audio_dataset_from_directory": "_audio_dataset", "image_dataset_from_directory": "_image_dataset",
    "text_dataset_from_directory": "_text_dataset", "timeseries_dataset_from_array": "_timeseries",
    "split_dataset": "_split", "pad_sequences": "_sequences", "get_file": "_files",
    "pack_x_y_sample_weight": "_packing", "unpack_x_y_sample_weight": "_packing",
    "array_to_img": "_images", "img_to_array": "_images", "load_img": "_images", "save_img": "_images",
    "get_source_inputs": "_tensors", "is_keras_tensor": "_tensors", "standardize_dtype": "_tensors",
    "plot_model": "_plot", "model_to_dot": "_plot",
}  # fmt: skip
_ELSEWHERE = {
    "set_random_seed": "compat.variables.session", "clear_session": "compat.variables.session",
    "Progbar": "compat.training.callbacks.progbar",
} | dict.fromkeys(
    ("disable_interactive_logging", "enable_interactive_logging", "is_interactive_logging_enabled"),
    "compat.state.messages",
)  # fmt: skip
_MODULES = ("bounding_boxes", "legacy")


def __getattr__(name: str) -> _Any:
    if name == "Sequence":  # the name of `PyDataset` in Keras 2
        name = "PyDataset"
    if name in _MODULES:
        value = _importlib.import_module(f"compat.utils.{name}")
    elif name in _LATER:
        value = getattr(_importlib.import_module(_LATER[name]), name)
    else:
        return _unknown_names_of({**globals(), **_LATER})(name)
    globals()[name] = value
    return value


_LATER = {name: f"compat.utils.{module}" for name, module in _NAMES.items()} | _ELSEWHERE


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_MODULES, "Sequence"})
