"""Frames and series of pandas and polars as arrays: nothing here imports them."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np

_NUMBERS = "fiubc"  # kinds of NumPy's types


def values_of(x: Any, what: str) -> np.ndarray:
    """A frame of columns `[B, C]`, or a series as one column `[B, 1]`, as in Keras; what is missing is NaN.

    Columns of several types, which the libraries give as objects, become one array of the type that holds all of them.

    Raises:
        ValueError: if columns hold no numbers; names them.
    """
    values = np.asarray(x.to_numpy())
    if values.dtype.kind not in _NUMBERS or _has_dates(x):
        values = _joined(x, what)
    return values[:, None] if values.ndim == 1 else values


def _has_dates(x: Any) -> bool:
    """Whether a frame of polars has columns of dates, which it gives as numbers beside others."""
    dtypes = x.dtypes if isinstance(getattr(x, "dtypes", None), list) else []
    return any(dtype.is_temporal() for dtype in dtypes)


def _joined(x: Any, what: str) -> np.ndarray:
    """The columns as numbers, one by one, in one array."""
    columns = [(name, _numbers(column)) for name, column in _columns(x)]
    wrong = [str(name) for name, values in columns if values is None]
    if wrong:
        raise ValueError(
            f"{what}: the columns {', '.join(wrong)} hold no plain numbers; encode them, e.g. with a StringLookup "
            "layer, or take them out"
        )
    return np.stack([values for _, values in columns if values is not None], axis=-1)


def _columns(x: Any) -> Iterator[tuple[Any, Any]]:
    if not hasattr(x, "columns"):
        yield getattr(x, "name", None) or "(without a name)", x
    elif hasattr(x, "iter_columns"):
        yield from ((column.name, column) for column in x.iter_columns())
    else:
        yield from x.items()


def _numbers(column: Any) -> np.ndarray | None:
    """A column as an array of numbers; None if it holds anything else."""
    values = np.asarray(column.to_numpy())
    if values.dtype.kind in _NUMBERS:
        return values if values.ndim == 1 else None
    if values.dtype.kind != "O":
        return None
    given = [np.nan if _missing(value) else value for value in values]
    if not all(isinstance(value, (numbers.Number, np.bool_)) for value in given):
        return None
    made = np.asarray(given)
    return made.astype("float64") if made.dtype.kind == "O" else made  # decimals, fractions, integers beyond 64 bits


def _missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"
