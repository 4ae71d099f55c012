"""Pickles and deep copies of models: through the file format where it holds the whole model."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

from compat.layers import Lambda
from compat.saving.files import load_model, save_model
from compat.serialization.registry import get_registered_name


def reduced(model: Any) -> tuple | None:
    """How to make a model again, from the bytes of a `.keras` file; None if such a file cannot hold it.

    Graphs are long chains of objects, which pickle would follow one call deep in the other, and trained models
    hold compiled functions. Classes of the user's own need not be registered: the pickle names them beside.
    """
    if not model.built:
        return None
    classes = {type(layer) for layer in model._all_layers() if type(layer).__module__.partition(".")[0] != "compat"}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        try:
            save_model(model, path)
        except (ValueError, TypeError, NotImplementedError):  # something without a config, which may have a pickle
            return None
        with open(path, "rb") as file:
            functions = {x.name: x.function for x in model._all_layers() if isinstance(x, Lambda)}
            return restored, (file.read(), {get_registered_name(cls): cls for cls in classes} | functions)


def restored(content: bytes, classes: dict[str, type]) -> Any:
    """The model of the bytes of a `.keras` file, with the user's classes in it by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        with open(path, "wb") as file:
            file.write(content)
        return load_model(path, custom_objects=classes, allowance=math.inf)
