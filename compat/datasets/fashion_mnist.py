"""Fashion-MNIST: 70,000 pieces of clothing, 28 x 28 grey pixels (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747)."""

from __future__ import annotations

import gzip

import numpy as np

from compat.datasets._sources import fetch


def load_data() -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: uint8 `[60000, 28, 28]` and `[60000]`, 10,000 for the test."""
    parts = []
    for part in ("train", "t10k"):
        labels, images = _read(f"{part}-labels-idx1", 8), _read(f"{part}-images-idx3", 16)
        parts.append((images.reshape(len(labels), 28, 28), labels))
    return parts[0], parts[1]


def _read(name: str, header: int) -> np.ndarray:
    path = fetch(f"fashion_mnist/{name}", f"{name}-ubyte.gz", cache_subdir="datasets/fashion-mnist")
    with gzip.open(path, "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)
