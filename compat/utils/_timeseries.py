"""`timeseries_dataset_from_array`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from compat.training.data.shuffle import Shuffle
from compat.utils import _directories, _grain
from compat.utils._batches import Batches, stacked


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Any:
    """Batches of windows that slide over a series.

    Args:
        data: `[T, ...]`, T the time.
        targets: `[>= windows, ...]`, `targets[i]` for the window that starts at i; or None.
        sequence_length: steps of a window.
        sequence_stride: steps from one window's start to the next one's.
        sampling_rate: steps from one element of a window to the next.
        batch_size: windows of a batch; None gives single ones.
        shuffle: whether windows come in another order at each iteration.
        seed: of that order; by default one from NumPy's random numbers.
        start_index: the first step that is used.
        end_index: the first step that is not used any more.
        format: `"tf"` for a dataset that iterates over NumPy arrays in Keras's order, with the
            methods of `tf.data` that programs use; `"grain"` for one of Grain's.

    Raises:
        ValueError: if an argument is out of its range.
    """
    data = np.asarray(data)
    targets = None if targets is None else np.asarray(targets)
    _check(len(data), sequence_length, sequence_stride, sampling_rate, start_index, end_index)
    _grain.check_format(format)
    start = start_index or 0
    end = len(data) if end_index is None else end_index
    windows = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        windows = min(windows, len(targets[start:end]))
    starts = np.arange(0, max(0, windows), sequence_stride) + start
    if shuffle:
        seed = int(np.random.randint(1e6)) if seed is None else seed
        starts = starts[np.random.RandomState(seed).permutation(len(starts))]
    steps = np.arange(sequence_length) * sampling_rate

    def load(first: int) -> Any:
        window = data[first + steps]
        return window if targets is None else (window, targets[first])

    if format == "grain":
        return _grain.of_items(starts.tolist(), load, batch_size, shuffle, seed)
    buffer = _directories.SHUFFLED_SAMPLES if batch_size is None else batch_size * _directories.SHUFFLED_BATCHES
    order = Shuffle(buffer, seed or 0) if shuffle else iter

    def single() -> Iterator[Any]:
        return map(load, order(starts.tolist()))

    if batch_size is None:
        return Batches(single, len(starts))
    return Batches(lambda: stacked(single(), batch_size), -(-len(starts) // batch_size))


def _check(length: int, sequence: int, stride: int, rate: int, start: int | None, end: int | None) -> None:
    for name, value in (("sequence_length", sequence), ("sequence_stride", stride), ("sampling_rate", rate)):
        if value <= 0:
            raise ValueError(f"{name}: expected a positive number; received {value}")
        if name != "sequence_length" and value >= length:
            raise ValueError(f"{name}: expected less than the {length} steps of the data; received {value}")
    if start is not None and not 0 <= start < length:
        raise ValueError(f"start_index: expected a step in [0, {length}); received {start}")
    if end is not None and not 0 <= end <= length:
        raise ValueError(f"end_index: expected a step in [0, {length}]; received {end}")
    if start is not None and end is not None and end <= start:
        raise ValueError(f"end_index: expected a step after start_index={start}; received {end}")
