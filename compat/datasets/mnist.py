"""MNIST: 70,000 handwritten digits, 28 x 28 grey pixels (LeCun, Cortes and Burges; CC BY-SA 3.0)."""

from __future__ import annotations

import numpy as np

from compat.datasets._sources import fetch


def load_data(path: str = "mnist.npz") -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: uint8 `[60000, 28, 28]` and `[60000]`, 10,000 for the test.

    Args:
        path: the name in the cache.
    """
    with np.load(fetch("mnist", path), allow_pickle=False) as file:
        return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
