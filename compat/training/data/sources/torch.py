"""torch `DataLoader`, handed in by the user: nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compat.training.data.sources import iterables
from compat.training.data.sources.base import Source


def source_of(x: Any, batch_size: int, shuffle: bool) -> Source:
    """The source of a loader; its order and its workers are its own.

    Raises:
        ValueError: for a dataset of rows without a loader around it.
    """
    if hasattr(x, "batch_sampler") and hasattr(x, "dataset"):
        return Loader(x)
    if hasattr(x, "__getitem__") and not hasattr(x, "__iter__"):
        raise ValueError(f"{type(x).__name__} gives rows, not batches: wrap it in torch.utils.data.DataLoader")
    return iterables.source_of(x)


class Loader(Source):
    """A `DataLoader`."""

    kind = "a torch DataLoader"

    def __init__(self, loader: Any):
        self._loader = loader
        try:
            self.steps = len(loader)
        except TypeError:  # of an IterableDataset without a length
            self.steps = None

    def batches(self) -> Iterator[Any]:
        """A new iteration."""
        return iter(self._loader)
