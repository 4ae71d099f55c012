"""IMDB: 50,000 film reviews as word numbers, half of them good (Maas et al. 2011, ACL P11-1015)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from compat.datasets._restricted import load_npz
from compat.datasets._sequences import numbered, of_lists, sequences, shorter, without_words, word_index
from compat.datasets._sources import fetch


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: arrays of lists of word numbers, and 0 or 1.

    Args:
        path: the name in the cache.
        num_words: words with this number and larger ones are left out.
        skip_top: words with smaller numbers are left out.
        maxlen: reviews of this many words and more are left out.
        seed: of the order of the reviews.
        start_char: begins each review; none if None.
        oov_char: stands for words that are left out; nothing does if None.
        index_from: is added to the words' ranks.
        **kwargs: `nb_words`, the old name of `num_words`.

    Raises:
        ValueError: if `maxlen` leaves no review, or the file is damaged.
        TypeError: for other arguments.
    """
    if "nb_words" in kwargs:
        warnings.warn("imdb.load_data: `nb_words` is called `num_words` now", stacklevel=2)
        num_words = kwargs.pop("nb_words")
    if kwargs:
        raise TypeError(f"imdb.load_data: unknown arguments {sorted(kwargs)}")
    local = fetch("imdb", path)
    x_train, y_train, x_test, y_test = load_npz(local, "x_train", "y_train", "x_test", "y_test")
    x_train, y_train = sequences(x_train, y_train, local)
    x_test, y_test = sequences(x_test, y_test, local)
    random = np.random.RandomState(seed)
    train, test = random.permutation(len(x_train)), random.permutation(len(x_test))
    rows, labels = shorter(numbered(x_train[train], start_char, index_from), y_train[train], maxlen)
    held, held_labels = shorter(numbered(x_test[test], start_char, index_from), y_test[test], maxlen)
    both = without_words([*rows, *held], num_words, skip_top, oov_char)
    return (of_lists(both[: len(rows)]), labels), (of_lists(both[len(rows) :]), held_labels)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The rank of each word, 1 for the most frequent one."""
    return word_index(fetch("imdb_word_index", path))
