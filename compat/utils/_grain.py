"""The same datasets as Grain's: for `format="grain"`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compat.utils._encoding import encoded
from kfun.errors import MissingExtraError


def check_format(format: str) -> None:
    """Raises ValueError for a format that is neither `"tf"` nor `"grain"`."""
    if format not in ("tf", "grain"):
        raise ValueError(f"format: expected 'tf' or 'grain'; received {format!r}")


def of_items(
    items: Sequence[Any], load: Callable[[Any], Any], batch_size: int | None, shuffle: bool, seed: int | None
) -> Any:
    """A `MapDataset` of `load(item)`, or an `IterDataset` of batches of them."""
    try:
        import grain
    except ImportError:
        raise MissingExtraError("grain", "pipelines", 'format="grain"') from None
    dataset = grain.MapDataset.source(items)
    if shuffle:
        dataset = dataset.shuffle(seed=seed)
    dataset = dataset.map(load)
    if batch_size is None:
        return dataset
    return dataset.to_iter_dataset().batch(batch_size, batch_fn=_stacked)


def of_files(
    files: Any, label_mode: Any, load: Callable[[str], Any], batch_size: int | None, shuffle: bool, seed: int | None
) -> Any:
    """A dataset of files and their labels, with `class_names` and `file_paths`."""
    labels = encoded(files, label_mode)

    def read(number: int) -> Any:
        sample = load(files.paths[number])
        return sample if labels is None else (sample, labels[number])

    dataset = of_items(range(len(files.paths)), read, batch_size, shuffle, seed)
    dataset.class_names, dataset.file_paths = files.class_names, files.paths
    return dataset


def _stacked(batch: Sequence[Any]) -> Any:
    if isinstance(batch[0], tuple):
        return tuple(_stacked(part) for part in zip(*batch, strict=True))
    return list(batch) if isinstance(batch[0], str) else np.stack(batch)
