"""`tf.data.Dataset`, handed in by the user: nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compat.training.data.sources import iterables
from compat.training.data.sources.base import Source


def source_of(x: Any, batch_size: int, shuffle: bool) -> Source:
    """The source of a dataset; other iterables of TensorFlow as they are. Their order is their own."""
    return TfDataset(x) if hasattr(x, "element_spec") and hasattr(x, "cardinality") else iterables.source_of(x)


class TfDataset(Source):
    """A `tf.data.Dataset` of batches."""

    kind = "a tf.data.Dataset"

    def __init__(self, dataset: Any):
        self._dataset = dataset
        size = dataset.cardinality  # a number for a dataset of several devices
        size = int(size() if callable(size) else size)
        self.endless = size == -1  # tf.data.INFINITE_CARDINALITY; -2 is unknown
        self.steps = size if size >= 0 else None

    def batches(self) -> Iterator[Any]:
        """A new iteration over eager tensors, which share their memory with NumPy."""
        return iter(self._dataset)
