"""Reuters: 11,228 short news of 1987 as word numbers, 46 topics."""

from __future__ import annotations

import numpy as np

from compat.datasets._restricted import load_npz
from compat.datasets._sequences import numbered, of_lists, sequences, shorter, without_words, word_index
from compat.datasets._sources import fetch

_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass "
    "crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi "
    "iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"
)


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple:
    """`(x_train, y_train), (x_test, y_test)`: arrays of lists of word numbers, and topics.

    Args:
        path: the name in the cache.
        num_words: words with this number and larger ones are left out.
        skip_top: words with smaller numbers are left out.
        maxlen: news of this many words and more are left out.
        test_split: the share of news for the test.
        seed: of the order of the news.
        start_char: begins each item; none if None.
        oov_char: stands for words that are left out; nothing does if None.
        index_from: is added to the words' ranks.

    Raises:
        ValueError: if `maxlen` leaves nothing, or the file is damaged.
    """
    local = fetch("reuters", path)
    x, y = sequences(*load_npz(local, "x", "y"), local)
    order = np.random.RandomState(seed).permutation(len(x))
    rows, labels = shorter(numbered(x[order], start_char, index_from), y[order], maxlen)
    rows = without_words(rows, num_words, skip_top, oov_char)
    cut = int(len(rows) * (1 - test_split))
    return (of_lists(rows[:cut]), labels[:cut]), (of_lists(rows[cut:]), labels[cut:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The rank of each word, 1 for the most frequent one."""
    return word_index(fetch("reuters_word_index", path))


def get_label_names() -> tuple[str, ...]:
    """The topics, in the order of their numbers."""
    return tuple(_TOPICS.split())
