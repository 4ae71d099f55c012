"""Fashion-MNIST: 70,000 pieces of clothing, 28 x 28 grey pixels (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747)."""

from __future__ import annotations

import os

import numpy as np

from compat.datasets._sources import fetch
from compat.saving.bounded import Budget, decompressed


def load_data() -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: uint8 `[60000, 28, 28]` and `[60000]`, 10,000 for the test.

    Raises:
        ValueError: if a file is damaged.
    """
    parts = []
    for part in ("train", "t10k"):
        labels, images = _read(f"{part}-labels-idx1", 8), _read(f"{part}-images-idx3", 16)
        if images.size != len(labels) * 28 * 28:
            raise ValueError(
                f"the files of {part!r} of Fashion-MNIST are damaged: {images.size:,} pixels for {len(labels):,} "
                "labels; expected 784 for each. Delete them so that they are downloaded again"
            )
        parts.append((images.reshape(len(labels), 28, 28), labels))
    return parts[0], parts[1]


def _read(name: str, header: int) -> np.ndarray:
    path = fetch(f"fashion_mnist/{name}", f"{name}-ubyte.gz", cache_subdir="datasets/fashion-mnist")
    with open(path, "rb") as file:
        budget = Budget(repr(path), os.fstat(file.fileno()).st_size)
        content = decompressed(file, budget, repr(path)).read()
    if len(content) < header:
        raise ValueError(f"{path!r} is damaged: it has {len(content)} bytes, fewer than its header")
    return np.frombuffer(content, np.uint8, offset=header)
