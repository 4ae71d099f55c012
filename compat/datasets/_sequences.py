"""What the datasets of word numbers have in common."""

from __future__ import annotations

from typing import Any

import numpy as np


def numbered(x: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """Sequences of word numbers from sequences of ranks.

    Args:
        x: ranks, 1 for the most frequent word.
        start_char: begins each sequence; none if None.
        index_from: is added to ranks.
    """
    begin = [] if start_char is None else [start_char]
    return [begin + [int(w) + index_from for w in row] for row in x]


def shorter(rows: list[list[int]], labels: Any, maxlen: int | None) -> tuple[list[list[int]], Any]:
    """The sequences with fewer words than `maxlen`, and their labels.

    Raises:
        ValueError: if there are none.
    """
    if not maxlen:
        return rows, labels
    kept = [i for i, row in enumerate(rows) if len(row) < maxlen]
    if not kept:
        raise ValueError(f"maxlen={maxlen}: every sequence is that long or longer; none is left")
    return [rows[i] for i in kept], np.asarray(labels)[kept]


def without_words(rows: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """Sequences without rare and all too frequent words.

    Args:
        rows: word numbers.
        num_words: the first number that is left out; by default the largest one, as in Keras.
        skip_top: the first number that is kept.
        oov_char: stands for what is left out; nothing does if None.
    """
    last = num_words or max(max(row, default=0) for row in rows)
    if oov_char is None:
        return [[w for w in row if skip_top <= w < last] for row in rows]
    return [[w if skip_top <= w < last else oov_char for w in row] for row in rows]


def of_lists(rows: list[list[int]]) -> np.ndarray:
    """An array of objects, each a list."""
    out = np.empty(len(rows), object)
    out[:] = rows
    return out
