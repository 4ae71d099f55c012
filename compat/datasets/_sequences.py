"""What the datasets of word numbers have in common."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from compat.saving.archives import parse

_WORDS = 1 << 24  # three times those of IMDB


def sequences(x: np.ndarray, y: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Lists of words' ranks and labels out of a file, checked.

    Raises:
        ValueError: if they are none: the file is damaged, or another one.
    """
    if x.ndim < 1 or x.shape[:1] != y.shape or y.dtype.kind not in "iufb":
        raise ValueError(f"{path!r}: expected as many sequences as labels; received the shapes {x.shape} and {y.shape}")
    if x.dtype.kind in "iu" and x.ndim == 2:
        return x, y
    if x.dtype != object or x.ndim != 1 or not all(isinstance(row, (list, np.ndarray)) for row in x):
        raise ValueError(f"{path!r}: expected sequences of words' ranks, each a list or an array")
    words = sum(row.size if isinstance(row, np.ndarray) else len(row) for row in x)
    if words > _WORDS:  # one list may stand for many sequences
        raise ValueError(f"{path!r}: expected at most {_WORDS:,} words in all sequences; received {words:,}")
    if not all(_is_sequence(row) for row in x):
        raise ValueError(f"{path!r}: expected sequences of whole numbers")
    return x, y


def _is_sequence(row: list | np.ndarray) -> bool:
    if isinstance(row, np.ndarray):
        return row.ndim == 1 and row.dtype.kind in "iu"
    return all(issubclass(kind, (int, np.integer)) for kind in set(map(type, row)))


def word_index(path: str) -> dict[str, int]:
    """The rank of each word, from a JSON file.

    Raises:
        ValueError: if the file is damaged, or holds something else.
    """
    with open(path, "rb") as file:
        found = parse(repr(path), file.read(min(os.fstat(file.fileno()).st_size, 1 << 27)))
    if not isinstance(found, dict) or not all(type(rank) is int for rank in found.values()):
        raise ValueError(f"{path!r}: expected an object of words and their ranks: the file is damaged, or another one")
    return found


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
