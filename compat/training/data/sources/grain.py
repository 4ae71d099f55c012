"""Grain: `MapDataset`, `IterDataset` and `DataLoader` of batches, handed in by the user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from compat.training.data.sources import iterables
from compat.training.data.sources.base import Source


def source_of(x: Any, batch_size: int, shuffle: bool) -> Source:
    """The source of a dataset or loader, whose order is its own; an iterator goes on from epoch to epoch."""
    return iterables.source_of(x) if hasattr(x, "__next__") else Grain(x)


class Grain(Source):
    """A Grain dataset whose elements are batches, or a Grain loader."""

    kind = "a Grain dataset"

    def __init__(self, dataset: Any):
        self._dataset = dataset
        size = len(dataset) if hasattr(dataset, "__len__") else None
        self.endless = size == sys.maxsize  # the length of `repeat()`
        self.steps = None if self.endless else size

    def batches(self) -> Iterator[Any]:
        """A new iteration; a map dataset reads in Grain's own threads."""
        dataset = self._dataset
        return iter(dataset.to_iter_dataset() if hasattr(dataset, "to_iter_dataset") else dataset)
