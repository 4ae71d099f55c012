"""MNIST: 70,000 handwritten digits, 28 x 28 grey pixels (LeCun, Cortes and Burges; CC BY-SA 3.0)."""

from __future__ import annotations

from compat.datasets._sources import fetch
from compat.datasets._tables import paired
from compat.saving.npz import read_npz


def load_data(path: str = "mnist.npz") -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: uint8 `[60000, 28, 28]` and `[60000]`, 10,000 for the test.

    Args:
        path: the name in the cache.

    Raises:
        ValueError: if the file is damaged.
    """
    local = fetch("mnist", path)
    found = read_npz(local, ("x_train", "y_train", "x_test", "y_test"))
    for part in ("train", "test"):
        paired(found, local, f"x_{part}", f"y_{part}")
    return (found["x_train"], found["y_train"]), (found["x_test"], found["y_test"])
