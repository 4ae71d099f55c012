"""Boston housing: 506 house prices of the 1970s and 13 features (Harrison and Rubinfeld 1978).

One of its features was made on the assumption that segregation raises prices: use it to discuss
that, and `california_housing` for anything else.
"""

from __future__ import annotations

from compat.datasets._sources import fetch
from compat.datasets._tables import split


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: float64 `[B, 13]`, and prices `[B]` in thousands of dollars.

    Args:
        path: the name in the cache.
        test_split: the share of rows for the test.
        seed: of the order of the rows.
    """
    return split(fetch("boston_housing", path), test_split, seed)
