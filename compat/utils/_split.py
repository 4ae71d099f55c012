"""`split_dataset`."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from compat.utils._batches import Batches


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Splits data into two datasets of samples, the left from the beginning and the right from the end.

    Args:
        dataset: arrays, a tuple or list of arrays of one length, a `tf.data.Dataset`, a torch
            dataset, or what the `..._dataset_from_...` functions give.
        left_size: the share of samples, or their number.
        right_size: likewise; each is by default what the other one leaves.
        shuffle: whether to shuffle the samples first.
        seed: of the shuffle; by default one from Python's random numbers.
        preferred_backend: `"torch"` for torch datasets; by default after the type of `dataset`.

    Returns:
        Two `torch.utils.data.Subset`s for torch, two `tf.data.Dataset`s for `"tensorflow"` if it is
        asked for by name or a `tf.data.Dataset` is given, else two datasets over NumPy arrays.

    Raises:
        ValueError: if a size is out of range, or a side would be empty.
        TypeError: if the data or a size are of another type.
    """
    library = _library(dataset)
    samples = _samples(dataset, library)
    left, right = _sizes(len(samples), left_size, right_size)
    order = list(range(len(samples)))
    if shuffle:
        seed = random.randint(0, 10**6) if seed is None else seed
        random.Random(seed).shuffle(order)
    parts = [samples[i] for i in order[:left]], [samples[i] for i in order[len(order) - right :]]
    wanted = preferred_backend or library
    if wanted not in ("", "jax", "numpy", "openvino", "torch", "tensorflow"):
        raise ValueError(f"preferred_backend: expected 'torch', 'tensorflow' or 'jax'; received {wanted!r}")
    if wanted == "torch":
        return _of_torch(samples, order[:left], order[len(order) - right :])
    if wanted == "tensorflow":
        return _of_tensorflow(parts[0]), _of_tensorflow(parts[1])
    return _of(parts[0]), _of(parts[1])


def _library(dataset: Any) -> str:
    roots = [cls.__module__.partition(".")[0] for cls in type(dataset).__mro__]
    return next((r for r in ("torch", "tensorflow") if r in roots and not hasattr(dataset, "shape")), "")


def _samples(dataset: Any, library: str) -> Sequence[Any]:
    if library == "torch":
        return dataset
    if library == "tensorflow" or isinstance(dataset, Batches):
        return list(dataset)
    if isinstance(dataset, (tuple, list)):
        arrays = [np.asarray(a) for a in dataset]
        if len({len(a) for a in arrays}) != 1:
            shown = ", ".join(str(len(a)) for a in arrays)
            raise ValueError(f"split_dataset: the arrays differ in length ({shown})")
        return list(zip(*arrays, strict=True))
    if hasattr(dataset, "__array__") or hasattr(dataset, "shape"):
        return np.asarray(dataset)
    raise TypeError(f"split_dataset: {type(dataset).__name__} is no array, tuple of arrays, or dataset")


def _sizes(total: int, left: Any, right: Any) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("split_dataset: pass left_size, right_size, or both")
    counts: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is not None and (isinstance(size, bool) or not isinstance(size, (int, float))):
            raise TypeError(f"{name}: expected an int, a float or None; received {type(size).__name__}")
        whole = isinstance(size, int)
        if size is not None and not (0 < size < total if whole else 0 < size < 1):
            raise ValueError(f"{name}: expected a count in (0, {total}) or a share in (0, 1); received {size}")
        counts.append(size if size is None or whole else round(size * total))
    if isinstance(left, float) and isinstance(right, float) and left + right > 1:
        raise ValueError(f"left_size and right_size are shares whose sum is more than 1: {left} and {right}")
    first = counts[0] if counts[0] is not None else total - (counts[1] or 0)
    second = counts[1] if counts[1] is not None else total - first
    if first + second > total:
        raise ValueError(f"left_size and right_size take {first} and {second} of only {total} samples")
    if first == 0 or second == 0:
        raise ValueError(f"of {total} samples, {first} would be left and {second} right; a side would be empty")
    return first, second


def _of(samples: list[Any]) -> Batches:
    def make() -> Iterator[Any]:
        return iter([np.asarray(s) if np.isscalar(s) else s for s in samples])

    return Batches(make, len(samples))


def _of_torch(dataset: Any, left: list[int], right: list[int]) -> tuple[Any, Any]:
    torch_data = importlib.import_module("torch.utils.data")  # asked for by the user

    class Rows(torch_data.Dataset):
        def __len__(self) -> int:
            return len(dataset)

        def __getitem__(self, i: int) -> Any:
            return dataset[i]

    whole = dataset if isinstance(dataset, torch_data.Dataset) else Rows()
    return torch_data.Subset(whole, left), torch_data.Subset(whole, right)


def _of_tensorflow(samples: list[Any]) -> Any:
    tf = importlib.import_module("tensorflow")
    parts = tf.nest.map_structure(lambda *xs: np.stack([np.asarray(x) for x in xs]), *samples)
    return tf.data.Dataset.from_tensor_slices(parts)
