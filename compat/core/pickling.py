"""Pickles and deep copies of models: through the file format where it holds the whole model."""

from __future__ import annotations

import os
import tempfile
from typing import Any


def reduced(model: Any) -> tuple | None:
    """How to make a model again, from the bytes of a `.keras` file; None if such a file cannot hold it.

    Graphs are long chains of objects, which pickle would follow one call deep in the other; classes of the
    user's own are named in a pickle as they are, and need not be registered.
    """
    layers = model._all_layers()
    if not model.built or not all(type(layer).__module__.partition(".")[0] == "compat" for layer in layers):
        return None
    from compat.saving import save_model

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        try:
            save_model(model, path)
        except ValueError:  # a function or an object that has no config, but may have a pickle
            return None
        with open(path, "rb") as file:
            return restored, (file.read(),)


def restored(content: bytes) -> Any:
    """The model of the bytes of a `.keras` file."""
    from compat.saving import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        with open(path, "wb") as file:
            file.write(content)
        return load_model(path)
