"""The files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009, "Learning multiple layers of features from tiny images")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from compat.datasets._restricted import load

_PIXELS = 3 * 32 * 32


def read(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `[B, 32, 32, 3]` and labels uint8 `[B, 1]` of a file.

    Args:
        path: of the file.
        labels: the labels' key.

    Raises:
        ValueError: if the file is damaged, or is none of these.
    """
    with open(path, "rb") as file:
        data = load(file, encoding="bytes", label=repr(str(path)))
    x, y = _part(data, "data"), _part(data, labels)
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.size % _PIXELS:
        raise ValueError(f"{str(path)!r} is no file of CIFAR: expected images of uint8, 3,072 numbers each, as 'data'")
    if not isinstance(y, list) or len(y) * _PIXELS != x.size or not all(type(n) is int and 0 <= n < 256 for n in y):
        raise ValueError(
            f"{str(path)!r} is no file of CIFAR: expected a label in [0, 256) for each image as {labels!r}"
        )
    x = x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x), np.asarray(y, "uint8")[:, None]


def _part(data: Any, key: str) -> Any:
    """A part by its name, which is one of bytes if Python 2 wrote it."""
    if not isinstance(data, dict):
        return None
    return data.get(key.encode(), data.get(key))
