"""Hugging Face `datasets`: datasets of rows, which become batches of columns here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from compat.training.data.sources import iterables
from compat.training.data.sources.base import Source

TARGETS = ("labels", "label")  # the names that the `transformers` models know targets by


def source_of(x: Any, batch_size: int, shuffle: bool) -> Source:
    """The source of a dataset with or without random access.

    Raises:
        ValueError: for a `DatasetDict`, which holds several.
    """
    if not hasattr(x, "column_names"):  # of another package of this name
        return iterables.source_of(x)
    if isinstance(x, Mapping):
        raise ValueError(f"a {type(x).__name__} holds several datasets: pass one of {sorted(map(str, x))}")
    return Rows(x, batch_size, shuffle)


class Rows(Source):
    """A `Dataset` or `IterableDataset`.

    The column `labels` or `label` is y; the others are x, one as an array and several as a dict.
    """

    kind = "a Hugging Face dataset"

    def __init__(self, dataset: Any, batch_size: int, shuffle: bool):
        self._dataset, self._batch_size, self._shuffle = dataset, batch_size, shuffle
        self._rows = len(dataset) if hasattr(dataset, "__len__") else None
        self.steps = None if self._rows is None else -(-self._rows // batch_size)

    def batches(self) -> Iterator[Any]:
        """A new iteration, in a new order if shuffled and the rows can be had by number."""
        if self._rows is None:
            return (_parts(columns) for columns in self._dataset.iter(self._batch_size))
        order = np.random.permutation(self._rows) if self._shuffle else np.arange(self._rows)
        starts = range(0, self._rows, self._batch_size)
        return (_parts(self._dataset[order[i : i + self._batch_size].tolist()]) for i in starts)


def _parts(columns: Mapping[str, Any]) -> Any:
    target = next((t for t in TARGETS if t in columns), None)
    inputs = {k: v for k, v in columns.items() if k != target}
    x = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    return (x,) if target is None else (x, columns[target])
