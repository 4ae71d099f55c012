"""California housing: 20,640 median house prices of 1990 and 8 features (Pace and Barry 1997)."""

from __future__ import annotations

from compat.datasets._sources import fetch
from compat.datasets._tables import split


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: `[B, 8]`, and prices `[B]` in dollars.

    Args:
        version: `"large"` for all rows, `"small"` for 600.
        path: the name in the cache.
        test_split: the share of rows for the test.
        seed: of the order of the rows.

    Raises:
        ValueError: if `version` is neither.
    """
    if version not in ("small", "large"):
        raise ValueError(f"version: expected 'small' or 'large'; received {version!r}")
    return split(fetch("california_housing", path), test_split, seed, 600 if version == "small" else None)
