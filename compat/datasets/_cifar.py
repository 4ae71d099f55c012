"""The files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009, "Learning multiple layers of features from tiny images")."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compat.datasets._restricted import load


def read(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `[B, 32, 32, 3]` and labels uint8 `[B, 1]` of a file.

    Args:
        path: of the file.
        labels: the labels' key.
    """
    with open(path, "rb") as file:
        data = {k.decode(): v for k, v in load(file, encoding="bytes").items()}
    x = np.asarray(data["data"], "uint8").reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x), np.asarray(data[labels], "uint8")[:, None]
