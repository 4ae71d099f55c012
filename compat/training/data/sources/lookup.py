"""Finds the adapter for an object that gives batches."""

from __future__ import annotations

import importlib
from typing import Any

from compat.training.data.sources import iterables, py_dataset
from compat.training.data.sources.base import Source

# The root module of a type, or of a type that it extends: the adapter's file, imported when used.
_BY_LIBRARY = {"tensorflow": "tensorflow", "torch": "torch", "grain": "grain", "datasets": "hugging_face"}


def source_of(x: Any, batch_size: int | None = None, shuffle: Any = False) -> Source:
    """The source of batches that an object is.

    Args:
        x: a `PyDataset` (Keras's or compat's), generator, `tf.data.Dataset`, torch `DataLoader`,
            Grain or Hugging Face dataset, or any iterable of batches.
        batch_size: rows of a batch, for datasets of rows.
        shuffle: whether a source that knows its length is taken in another order each epoch.
    """
    if py_dataset.is_py_dataset(x):
        return py_dataset.PyDatasetSource(x, bool(shuffle))
    for cls in type(x).__mro__:
        library = cls.__module__.partition(".")[0]
        if library in _BY_LIBRARY:
            adapter = importlib.import_module(f"compat.training.data.sources.{_BY_LIBRARY[library]}")
            return adapter.source_of(x, batch_size or 32, bool(shuffle))
    return iterables.source_of(x)
