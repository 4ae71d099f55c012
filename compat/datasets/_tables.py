"""Tables of numbers, shuffled and split."""

from __future__ import annotations

import numpy as np


def split(path: str, test_split: float, seed: int, rows: int | None = None) -> tuple:
    """`(x_train, y_train), (x_test, y_test)` of an `.npz` file with `x` and `y`.

    Args:
        path: of the file.
        test_split: the share of rows for the test, in `[0, 1)`.
        seed: of the order of the rows.
        rows: how many rows are taken; all if None.

    Raises:
        ValueError: if the share is out of range.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split: expected a share in [0, 1); received {test_split}")
    with np.load(path, allow_pickle=False) as file:
        x, y = file["x"][:rows], file["y"][:rows]
    order = np.random.RandomState(seed).permutation(len(x))
    cut = int(len(x) * (1 - test_split))
    return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]])
