"""What reads files, as functions that a confined process can call. Imported once by the server of those processes."""

from __future__ import annotations

import importlib
import os
from typing import Any

import compat
from compat import callbacks, layers, losses, metrics, models, optimizers, saving, utils  # noqa: F401
from compat.datasets import _restricted, _sources
from compat.models import functional, functional_reading, sequential  # noqa: F401
from compat.saving import editor, files, h5, npz, orbax  # noqa: F401
from kfun import checkpoints


def load_model(path: Any, **kwargs: Any) -> Any:
    """The model of a file, used once so that nothing waits to be done."""
    model = compat.saving.load_model(path, **kwargs)
    for variable in model.variables:
        variable.numpy()
    return model


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


def get_file(url: str, cache: Any, **kwargs: Any) -> Any:
    """Downloads and unpacks an archive."""
    return compat.utils.get_file(origin=url, cache_dir=cache, extract=True, **kwargs)


def read_npz(path: Any, *names: str) -> Any:
    """The arrays of a file."""
    return npz.read_npz(path, names or None)


def unpickle(path: Any, encoding: str = "ASCII") -> Any:
    """The data of a pickle of a dataset."""
    with open(path, "rb") as file:
        return _restricted.load(file, encoding, str(path))


def dataset(name: str, cache: Any, sources: dict[str, Any], function: str = "load_data") -> Any:
    """Calls a function of a dataset whose sources are these files."""
    os.environ["KERAS_HOME"] = str(cache)
    _sources.SOURCES.update({source: (path.as_uri(), None) for source, path in sources.items()})
    return getattr(importlib.import_module(f"compat.datasets.{name}"), function)()


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


def edit_changed(path: Any, places: list[int], value: int) -> None:
    """Opens a file in the editor with each of those bytes changed in turn; a ValueError is as good as a value."""
    import contextlib

    with open(path, "rb") as file:
        content = file.read()
    changed = f"{path}.changed.weights.h5"
    for place in places:
        with open(changed, "wb") as file:
            file.write(content[:place] + bytes([content[place] ^ value]) + content[place + 1 :])
        with contextlib.suppress(ValueError):
            edit(changed)


@compat.saving.register_keras_serializable("readers")
def touch(path: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of the user's, with an effect that shows."""
    with open(os.environ.get("MARKER") or path, "w", encoding="ascii"):
        return path


@compat.saving.register_keras_serializable("readers")
class Touching(compat.layers.Layer):
    """A layer of the user's whose constructor has an effect that shows."""

    def __init__(self, path: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        touch(path)

    def call(self, inputs: Any) -> Any:
        return inputs


def load_definition(path: Any) -> Any:
    """The definition of a checkpoint."""
    return checkpoints.load_definition(path)
