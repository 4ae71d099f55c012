"""CIFAR-100: 60,000 photographs of 100 classes in 20 groups, 32 x 32 pixels of 3 colours."""

from __future__ import annotations

from pathlib import Path

from compat.datasets._cifar import read
from compat.datasets._sources import fetch


def load_data(label_mode: str = "fine") -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: uint8 `[50000, 32, 32, 3]` and `[50000, 1]`, 10,000 for the test.

    Args:
        label_mode: `"fine"` for the 100 classes, `"coarse"` for the 20 groups.

    Raises:
        ValueError: if `label_mode` is neither.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode: expected 'fine' or 'coarse'; received {label_mode!r}")
    folder = Path(fetch("cifar100", "cifar-100-python-target", extract=True)) / "cifar-100-python"
    return read(folder / "train", f"{label_mode}_labels"), read(folder / "test", f"{label_mode}_labels")
