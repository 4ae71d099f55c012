"""`audio_dataset_from_directory`."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from compat.utils import _directories
from compat.utils._batches import Batches

FORMATS = (".wav",)


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: list[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Batches of sounds from `.wav` files, labelled by the directory that they are in.

    Sounds are float32 `[B, T, C]` in `[-1, 1)`, T time and C channels, with zeros after the end of
    those that are shorter than the longest of their batch.

    Args:
        directory: as in `image_dataset_from_directory`, like all that is not described here.
        labels: `"inferred"`, None, or an integer for each file.
        label_mode: `"int"`, `"binary"`, `"categorical"` or None.
        class_names: the sub-directories in order.
        batch_size: sounds of a batch; None gives single ones.
        sampling_rate: samples per second, which sounds of another rate are resampled to.
        output_sequence_length: T of all batches; longer sounds are cut.
        ragged: whether a batch is an array of objects that holds a `[T, C]` array for each sound.
        shuffle: whether files come in another order at each iteration.
        seed: of that order.
        validation_split: the share of files for validation.
        subset: `"training"`, `"validation"` or `"both"`.
        follow_links: whether linked directories are entered.
        verbose: whether to tell how many files there are.

    Returns:
        A dataset with `class_names` and `file_paths`; two for `subset="both"`.

    Raises:
        ValueError: if arguments are wrong or do not go together, or there are no files.
    """
    labels = _directories.checked_labels(labels, label_mode, class_names, validation_split, subset, shuffle, seed)
    if ragged and output_sequence_length is not None:
        raise ValueError("ragged and output_sequence_length exclude each other")
    if sampling_rate is not None and (not isinstance(sampling_rate, int) or sampling_rate <= 0):
        raise ValueError(f"sampling_rate: expected a positive integer; received {sampling_rate!r}")

    def load(path: str) -> np.ndarray:
        return _read(path, sampling_rate, output_sequence_length)

    def make(files: _directories.Files, shuffled: bool, seed: int | None) -> Any:
        _directories.check_binary(label_mode, files)
        source = _directories.samples(files, label_mode, load, batch_size, shuffled, seed)
        dataset = Batches(source, len(files.paths))
        if batch_size is not None:
            dataset = Batches(lambda: _batched(source(), batch_size, ragged), -(-len(files.paths) // batch_size))
        dataset.class_names, dataset.file_paths = files.class_names, files.paths
        return dataset

    files = _directories.find(directory, labels, FORMATS, class_names, follow_links, verbose)
    return _directories.split_and_make(
        files, make, validation_split, subset, shuffle, seed, verbose, "audio", FORMATS, directory
    )


def _read(path: str, rate: int | None, length: int | None) -> np.ndarray:
    """A sound, float32 `[T, C]`."""
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of tags that it does not know
        own, x = wavfile.read(path)
    x = x if x.ndim == 2 else x[:, None]
    if x.dtype.kind == "u":
        x = (x.astype("float32") - 128) / 128
    elif x.dtype.kind == "i":
        x = x.astype("float32") / 2.0 ** (8 * x.dtype.itemsize - 1)
    x = x.astype("float32")
    if rate is not None and rate != own:
        common = math.gcd(rate, own)
        x = resample_poly(x, rate // common, own // common, axis=0).astype("float32")
    if length is not None:
        x = np.pad(x[:length], [(0, max(0, length - len(x))), (0, 0)])
    return x


def _batched(items: Iterator[Any], batch_size: int, ragged: bool) -> Iterator[Any]:
    while batch := list(itertools.islice(items, batch_size)):
        labelled = isinstance(batch[0], tuple)
        sounds = [b[0] for b in batch] if labelled else batch
        if ragged:
            x = np.empty(len(sounds), object)
            x[:] = sounds
        else:
            longest = max(map(len, sounds))
            x = np.stack([np.pad(s, [(0, longest - len(s)), (0, 0)]) for s in sounds])
        yield (x, np.stack([b[1] for b in batch])) if labelled else x
