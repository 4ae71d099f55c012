"""What reads files, as functions that a confined process can call. Imported once by the server of those processes."""

from __future__ import annotations

from typing import Any

import compat
from compat import callbacks, layers, losses, metrics, models, optimizers, saving, utils  # noqa: F401
from compat.core import functional, sequential  # noqa: F401
from compat.saving import editor, files, functional_config, legacy, orbax  # noqa: F401


def load_model(path: Any, **kwargs: Any) -> Any:
    """The model of a file, used once so that nothing waits to be done."""
    model = compat.saving.load_model(path, **kwargs)
    return [variable.value for variable in model.variables] and model


def model_from_json(text: str) -> Any:
    """The model of a JSON text."""
    return compat.models.model_from_json(text)


def deserialize(data: Any) -> Any:
    """The object of JSON data."""
    return compat.saving.deserialize_keras_object(data)


def load_weights(path: Any, width: int = 3, units: int = 2) -> Any:
    """Reads weights into a model of one Dense layer."""
    model = small_model(width, units)
    model.load_weights(path)
    return model


def edit(path: Any) -> Any:
    """Opens a file in the editor."""
    return compat.saving.KerasFileEditor(path)


def small_model(width: int = 3, units: int = 2) -> Any:
    """A model of one Dense layer, with the names that the tests' files have."""
    return compat.Sequential([compat.Input((width,)), compat.layers.Dense(units, name="d")], name="m")


def hoard(size: int) -> Any:
    """Fills that much memory: what the limits must catch."""
    return bytearray(b"x") * size


def sleep(seconds: float) -> None:
    """Takes that long: what the limits must catch."""
    import time

    time.sleep(seconds)


def leave() -> None:
    """Ends its process."""
    import os

    os._exit(3)
