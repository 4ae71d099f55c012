"""Tables of numbers, shuffled and split."""

from __future__ import annotations

import numpy as np

from compat.saving.npz import read_npz


def split(path: str, test_split: float, seed: int, rows: int | None = None) -> tuple:
    """`(x_train, y_train), (x_test, y_test)` of an `.npz` file with `x` and `y`.

    Args:
        path: of the file.
        test_split: the share of rows for the test, in `[0, 1)`.
        seed: of the order of the rows.
        rows: how many rows are taken; all if None.

    Raises:
        ValueError: if the share is out of range, or the file is damaged.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split: expected a share in [0, 1); received {test_split}")
    table = paired(read_npz(path, ("x", "y")), path, "x", "y")
    x, y = table["x"][:rows], table["y"][:rows]
    order = np.random.RandomState(seed).permutation(len(x))
    cut = int(len(x) * (1 - test_split))
    return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]])


def paired(arrays: dict[str, np.ndarray], path: str, x: str, y: str) -> dict[str, np.ndarray]:
    """The arrays of a file, of which two must have as many rows."""
    if not arrays[x].ndim or not arrays[y].ndim or len(arrays[x]) != len(arrays[y]):
        raise ValueError(
            f"{path!r}: expected as many rows in {x!r} as in {y!r}; received the shapes {arrays[x].shape} and "
            f"{arrays[y].shape}: the file is damaged, or another one"
        )
    return arrays
