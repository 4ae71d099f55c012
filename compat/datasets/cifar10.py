"""CIFAR-10: 60,000 photographs of 10 classes, 32 x 32 pixels of 3 colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compat.datasets._cifar import read
from compat.datasets._sources import fetch


def load_data() -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: uint8 `[50000, 32, 32, 3]` and `[50000, 1]`, 10,000 for the test."""
    folder = Path(fetch("cifar10", "cifar-10-batches-py-target", extract=True)) / "cifar-10-batches-py"
    parts = [read(folder / f"data_batch_{i}", "labels") for i in range(1, 6)]
    train = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    return train, read(folder / "test_batch", "labels")
